import type { Client } from '@temporalio/client'
import { groupStatus, type PartitionView } from '../client/status.js'
import type { ParsedConsumer } from '../config/parse.js'
import { isTidemarkError } from '../model/errors.js'
import type { StoredOffset } from '../ports/index.js'
import type { TestClock } from './clock.js'
import type { TestStream } from './messages.js'
import type { Work } from './work.js'

/** How long the workflows may take to say how they stand, ms. The test server forgets a question now and then: it is asked again. */
const patienceMs = 1_000

/** One partition of a group, with the words of `tidemark status`. */
export interface TestPartition {
  readonly group: string
  readonly stream: string
  readonly partition: number
  /** `idle`: it has handled everything and waits for messages. `stopped`: its group does not run. */
  readonly state: PartitionView['state'] | 'idle' | 'stopped'
  readonly reason: string
  /** Where the next batch begins. */
  readonly position: bigint
  /** What the store holds. */
  readonly committed: bigint
  readonly head: bigint
  /** head - position */
  readonly lag: bigint
}

export interface Surroundings {
  readonly client: Client
  readonly clock: TestClock
  readonly consumers: readonly ParsedConsumer[]
  readonly streams: ReadonlyMap<string, TestStream>
  readonly work: Work
  stored(group: string, stream: string): Promise<readonly StoredOffset[]>
}

/** How the partitions stand, and which of them still have something to do at once. */
export interface Standing {
  readonly partitions: readonly TestPartition[]
  /** Neither caught up, nor stopped, nor waiting for time to pass. */
  readonly busy: readonly TestPartition[]
  /** Messages are there for them, and nothing handles them. */
  readonly asleep: readonly TestPartition[]
}

/** Conditions in which nothing happens before somebody acts. */
const atRest: ReadonlySet<TestPartition['state']> = new Set([
  'stopped',
  'blocked',
  'fenced',
  'finished',
  'paused',
  'held',
])

/** Asks how everything stands. Undefined where something happened meanwhile, or where the workflows have not answered. */
export async function standingOf(around: Surroundings): Promise<Standing | undefined> {
  const { work, consumers, clock } = around
  const { changes } = work
  try {
    const [found, now] = await Promise.all([
      Promise.all(consumers.map((consumer) => lookAt(consumer, around))),
      clock.now(),
    ])
    if (work.inHand > 0 || work.changes !== changes) return undefined
    const all = found.flat()
    const busy = all.filter(({ shown, working, isManual }) => {
      if (atRest.has(shown.state) || work.waits(shown, shown.partition, now)) return false
      return working || shown.lag !== 0n || (shown.committed !== shown.position && !isManual)
    })
    const asleep = busy.filter(({ shown, working }) => !working && shown.state === 'idle' && shown.lag > 0n)
    return {
      partitions: all.map(({ shown }) => shown),
      busy: busy.map(({ shown }) => shown),
      asleep: asleep.map(({ shown }) => shown),
    }
  } catch (error) {
    if (isTidemarkError(error) && error.code === 'UNREACHABLE') return undefined
    throw error
  }
}

interface Looked {
  readonly shown: TestPartition
  readonly working: boolean
  /** Its handler says what is to be committed. */
  readonly isManual: boolean
}

async function lookAt(
  { settings: { group, stream, commit } }: ParsedConsumer,
  { client, streams, stored }: Surroundings,
): Promise<Looked[]> {
  const [views, offsets] = await Promise.all([viewsOf(client, { group, stream }), stored(group, stream)])
  const { log } = streams.get(stream)!
  return log.partitions.map((partition) => {
    const view = views?.find((one) => one.partition === partition)
    const committed = offsets.find((one) => one.partition === partition)?.position ?? 0n
    const position = view?.position === undefined ? committed : larger(BigInt(view.position), committed)
    const head = log.head(partition)
    const working = view?.working ?? false
    const state: TestPartition['state'] = !views
      ? 'stopped'
      : !view
        ? 'not running'
        : view.state === 'running' && !working
          ? 'idle'
          : view.state
    const shown = { group, stream, partition, state, reason: view?.reason ?? '', position, committed, head }
    return { shown: { ...shown, lag: head - position }, working, isManual: commit.after === 'manual' }
  })
}

/** Null where the group does not run. */
async function viewsOf(
  client: Client,
  name: { readonly group: string; readonly stream: string },
): Promise<readonly PartitionView[] | null> {
  try {
    return (await groupStatus(client, name, patienceMs)).partitions
  } catch (error) {
    if (isTidemarkError(error) && error.code === 'UNKNOWN_CONSUMER') return null
    throw error
  }
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

/** What the store and the logs say, where no worker answers. */
export async function storedStates({ consumers, streams, stored }: Surroundings): Promise<TestPartition[]> {
  const all = await Promise.all(
    consumers.map(async ({ settings: { group, stream } }) => {
      const offsets = await stored(group, stream)
      const { log } = streams.get(stream)!
      return log.partitions.map((partition): TestPartition => {
        const committed = offsets.find((one) => one.partition === partition)?.position ?? 0n
        const head = log.head(partition)
        const lag = head - committed
        const reason = 'no worker answers'
        return { group, stream, partition, state: 'not running', reason, position: committed, committed, head, lag }
      })
    }),
  )
  return all.flat()
}

/** For errors: a line for each partition. */
export function shownStates(partitions: readonly TestPartition[]): string {
  return partitions
    .map(({ group, stream, partition, state, reason, position, committed, head }) => {
      const where = `position ${position}, committed ${committed}, head ${head}`
      return `  ${group} ${stream}[${partition}] ${state}: ${where}${reason && ` (${reason})`}`
    })
    .join('\n')
}
