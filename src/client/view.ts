import type { Client } from '@temporalio/client'
import type { TidemarkConfig } from '../config/define.js'
import { type ParsedConfig, type ParsedConsumer, parseConfig, type TemporalSettings } from '../config/parse.js'
import { isTidemarkError, messageOf } from '../model/errors.js'
import { connectClient, temporalError } from '../temporal/connection.js'
import { findConsumers, type Wanted } from './find.js'
import { answerWithin, placeOf } from './once.js'
import { openSource, openStore, patience, using } from './open.js'
import { greatestAge, type PartitionPosition, readPositions, sumOfLag } from './positions.js'
import { type GroupView, groupStatus, type PartitionView } from './status.js'

/** A consumer as people see it: what its workers say, and how far it has come by its store and its log. Fit for JSON. */
export interface ConsumerView {
  readonly group: string
  readonly stream: string
  /** What could not be asked and why, a sentence each: no worker answers, the store or the stream can't be reached. */
  readonly notes: readonly string[]
  /** False where Temporal, the store or the stream could not be reached. That no worker runs is a state like others. */
  readonly complete: boolean
  /** The config in force; null where no worker says. */
  readonly config: GroupView['config'] | null
  readonly paused: string | null
  readonly lag: string | null
  readonly timeLagMs: number | null
  readonly partitions: readonly PartitionLine[]
}

/** Offsets are decimal text, times ISO text. Null where nobody says. */
export interface PartitionLine {
  readonly partition: number
  /** `idle` runs and waits for messages; `unknown` where no worker says. */
  readonly state: PartitionView['state'] | 'idle' | 'unknown'
  readonly reason: string
  readonly since: string | null
  /** Where the next batch begins: ahead of `committed` by what is not committed yet. */
  readonly position: string | null
  readonly committed: string | null
  readonly first: string | null
  readonly head: string | null
  readonly lag: string | null
  readonly timeLagMs: number | null
  readonly updatedAt: string | null
  readonly epoch: number | null
  readonly replay: number | null
  readonly batch: number | null
  readonly messages: number | null
  /** Version of the config that the next batch is worked with. */
  readonly config: string | null
}

type Asked<T> = { readonly answer: T; readonly why: null } | { readonly answer: null; readonly why: unknown }

/**
 * What the groups of a config are doing and how far they have come: what `tidemark status` shows.
 *
 * @throws TidemarkError UNKNOWN_CONSUMER; UNREACHABLE where neither Temporal nor the store can be reached
 */
export async function viewGroups(config: TidemarkConfig, wanted: Wanted = {}): Promise<ConsumerView[]> {
  const parsed = parseConfig(config)
  return Promise.all(findConsumers(parsed, wanted).map((consumer) => viewConsumer(parsed, consumer)))
}

/**
 * Looks at a consumer from all sides at once. What does not answer is named in `notes`, and the rest is shown.
 *
 * @throws what the store threw, when the workers don't answer either
 */
export async function viewConsumer(config: ParsedConfig, consumer: ParsedConsumer): Promise<ConsumerView> {
  const { group, stream } = consumer.settings
  const [workers, positions] = await Promise.all([
    asked(withTemporal(config.temporal, (client) => groupStatus(client, { group, stream }, patience))),
    asked(positionsOf(config, consumer)),
  ])
  if (!workers.answer && !positions.answer) throw positions.why
  const notes = [
    ...(workers.answer ? [] : [noteOf(workers.why)]),
    ...(positions.answer ? positions.answer.notes : [`from the workers alone: ${messageOf(positions.why)}`]),
  ]
  const complete = positions.answer?.why === null && (workers.answer !== null || silent(workers.why))
  return merge({ group, stream, notes, complete }, workers.answer, positions.answer?.positions ?? [])
}

/** Whether Temporal answered, and only the group's workers did not: then the error is about the group. */
function silent(why: unknown): boolean {
  return isTidemarkError(why) && why.place.group !== undefined
}

/** Why only half of it is shown. */
function noteOf(why: unknown): string {
  const message = messageOf(why)
  if (isTidemarkError(why) && why.code === 'UNKNOWN_CONSUMER') return 'not started: from the store and the broker'
  return `${silent(why) ? 'no worker answers' : message}: from the store and the broker`
}

/** Positions by the store, and by the log as far as it answers. Throws where the store does not. */
export async function positionsOf(
  config: ParsedConfig,
  consumer: ParsedConsumer,
): Promise<{ readonly positions: readonly PartitionPosition[]; readonly notes: readonly string[]; why: unknown }> {
  const { settings, source } = consumer
  return using(openStore(config), async (store) => {
    try {
      const positions = await using(openSource(consumer), (client) =>
        answerWithin(placeOf(source), readPositions(settings, { store, source: client }), 2 * patience),
      )
      return { positions, notes: [], why: null }
    } catch (why) {
      const positions = await readPositions(settings, { store, source: null })
      return { positions, notes: [`heads and lag are unknown: ${messageOf(why)}`], why }
    }
  })
}

async function withTemporal<T>(settings: TemporalSettings, use: (client: Client) => Promise<T>): Promise<T> {
  const client = await connectClient(settings)
  try {
    return await use(client)
  } catch (error) {
    throw temporalError(error, settings)
  } finally {
    await client.connection.close()
  }
}

async function asked<T>(asking: Promise<T>): Promise<Asked<T>> {
  try {
    return { answer: await asking, why: null }
  } catch (why) {
    return { answer: null, why }
  }
}

function merge(
  base: Pick<ConsumerView, 'group' | 'stream' | 'notes' | 'complete'>,
  workers: GroupView | null,
  positions: readonly PartitionPosition[],
): ConsumerView {
  const stored = new Map(positions.map((one) => [one.partition, one]))
  const told = new Map((workers?.partitions ?? []).map((one) => [one.partition, one]))
  const partitions = [...new Set([...stored.keys(), ...told.keys()])].sort((a, b) => a - b)
  return {
    ...base,
    config: workers?.config ?? null,
    paused: workers?.paused ?? null,
    lag: text(sumOfLag(positions)),
    timeLagMs: greatestAge(positions),
    partitions: partitions.map((partition) => lineOf(partition, told.get(partition), stored.get(partition))),
  }
}

function lineOf(partition: number, told?: PartitionView, stored?: PartitionPosition): PartitionLine {
  // Each of them was asked at another moment. A position never lies behind what is committed.
  const committed = text(stored?.committed) ?? told?.committed ?? null
  return {
    partition,
    state: told ? (told.state === 'running' && !told.working ? 'idle' : told.state) : 'unknown',
    reason: told?.reason || stored?.remark || '',
    since: told?.since || null,
    position: farther(told?.position, committed),
    committed,
    first: text(stored?.first),
    // Not the workers' head: it is as old as their last look.
    head: text(stored?.head),
    lag: text(stored?.lag),
    timeLagMs: stored?.timeLagMs ?? null,
    updatedAt: stored?.updatedAt?.toISOString() ?? null,
    epoch: stored?.epoch ?? told?.epoch ?? null,
    replay: stored?.replay ?? null,
    batch: told?.batch ?? null,
    messages: told?.messages ?? null,
    config: told?.config ?? null,
  }
}

function farther(position: string | undefined, committed: string | null): string | null {
  if (position === undefined) return committed
  return committed !== null && BigInt(committed) > BigInt(position) ? committed : position
}

export function text(value: bigint | null | undefined): string | null {
  return value === null || value === undefined ? null : String(value)
}
