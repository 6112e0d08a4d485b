import type { TidemarkConfig } from '../config/define.js'
import { TidemarkError } from '../model/errors.js'
import { describePartition, type PartitionKey } from '../model/partition.js'
import { offsetOutOfRange } from '../model/refusals.js'
import type { Wanted } from './find.js'
import type { PartitionLine } from './partition-line.js'
import { moveOf, type PositionPlan } from './plan.js'
import { planWith } from './reset.js'
import { inSession, type Session } from './session.js'
import { standingOf } from './standing.js'
import { viewConsumer } from './view.js'

export interface SkipOptions extends Wanted {
  readonly partition: number
  /** Has to be the one that the partition stands at. */
  readonly offset: bigint
}

/** States in which nobody handles the partition. */
const atRest: ReadonlySet<PartitionLine['state']> = new Set([
  'blocked',
  'paused',
  'stopped',
  'stopped (no worker)',
  'not running',
])

/**
 * Computes what it means to skip the message that a partition stands at, which is blocked, paused or has no worker. Changes nothing;
 * `applyReset` does it, and refuses where the partition was taken up meanwhile.
 *
 * @throws TidemarkError as `planReset`; GROUP_ACTIVE for a partition that is being handled; OUT_OF_RANGE for an offset that the partition
 * does not stand at, saying where it does
 */
export function planSkip(config: TidemarkConfig, options: SkipOptions): Promise<PositionPlan> {
  return inSession(config, (session) => planSkipIn(session, options))
}

export function planSkipIn(session: Session, { partition, offset, ...wanted }: SkipOptions): Promise<PositionPlan> {
  return planWith(session, wanted, async ({ name, consumer, placesOf, identities, earlier }) => {
    const key = { ...name, partition }
    const [place] = await placesOf([partition])
    const [{ position, seen }, view] = await Promise.all([
      standingOf(session, consumer, partition),
      viewConsumer(session, consumer),
    ])
    const line = view.partitions.find((one) => one.partition === partition)
    requireAtRest(key, line?.state ?? 'unknown')
    const stands = earlier.has(partition) ? null : furthest(position, line?.position ?? null)
    if (stands !== offset) throw standsElsewhere(key, stands, offset)
    if (offset < place!.first || offset >= place!.head) throw offsetOutOfRange(place!, offset, place!)
    return {
      ...name,
      kind: 'skipped',
      identities,
      moves: [moveOf({ ...place!, from: offset }, offset + 1n)],
      ...(seen && { seen: new Map([[partition, seen]]) }),
    }
  })
}

function requireAtRest(key: PartitionKey, state: PartitionLine['state']): void {
  if (atRest.has(state)) return
  const { group, stream, partition } = key
  throw new TidemarkError(
    'GROUP_ACTIVE',
    `${describePartition(key)} of group ${group} is ${state}: a message can be skipped where the partition is blocked, paused or has no worker. ` +
      `'tidemark pause --group ${group} --stream ${stream} --partition ${partition}' stops it after the chunk in hand`,
    { place: key },
  )
}

/** Workers may know more than what is stored, where progress is in a log. */
function furthest(stored: bigint | null, told: string | null): bigint | null {
  if (told === null || (stored !== null && stored > BigInt(told))) return stored
  return BigInt(told)
}

function standsElsewhere(key: PartitionKey, stands: bigint | null, offset: bigint): TidemarkError {
  const where = stands === null ? 'has no position yet' : `stands at ${stands}`
  const command = `'tidemark reset --to <position>' moves it elsewhere`
  return new TidemarkError(
    'OUT_OF_RANGE',
    `${describePartition(key)} of group ${key.group} ${where}, not at ${offset}: only the message that it stands at can be skipped; ${command}`,
    { place: { ...key, offset: String(offset) } },
  )
}
