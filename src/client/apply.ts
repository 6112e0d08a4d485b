import type { TidemarkConfig } from '../config/define.js'
import { isTidemarkError, messageOf, TidemarkError } from '../model/errors.js'
import { describePartition, type GroupName, type PartitionKey, partitionsNamed } from '../model/partition.js'
import type { OffsetStoreClient, SqlProgressLog } from '../ports/index.js'
import { temporalError } from '../temporal/connection.js'
import { reopenPartitions } from './commands.js'
import { findConsumer } from './find.js'
import { because, requestIn } from './letters/requests.js'
import { operatorName } from './operator.js'
import type { PositionPlan } from './plan.js'
import { inSession, type Session } from './session.js'

export interface ApplyOptions {
  /** Default: `user@host` of this process. */
  readonly by?: string
  /** For people who look into the history later. */
  readonly why?: string
  /**
   * What becomes of messages of these partitions that are set aside. `keep` (the default): they stay, and messages of their keys that are
   * handled again go behind them. `clear`: they are discarded, and come again from the log.
   */
  readonly deadLetters?: 'keep' | 'clear'
}

export interface AppliedReset {
  readonly group: string
  readonly stream: string
  /** Partitions whose position was put where the plan says. */
  readonly partitions: readonly number[]
  /** Those of them that run, and were told. */
  readonly reopened: readonly number[]
  /** Messages that were set aside and are to be discarded. */
  readonly cleared: number
}

/**
 * Puts positions where a plan says, and tells the partitions that run: they end what is under way after the chunk in hand, and
 * go on from there. Durable from then on, also where no worker is running.
 *
 * @throws TidemarkError UNREACHABLE before anything is changed, where the store or Temporal can't be reached; and, naming what was
 * changed, where one of them ends on the way
 */
export async function applyReset(
  config: TidemarkConfig,
  plan: PositionPlan,
  options: ApplyOptions = {},
): Promise<AppliedReset> {
  return inSession(config, (session) => applyResetIn(session, plan, options))
}

export async function applyResetIn(
  session: Session,
  plan: PositionPlan,
  { by = operatorName(), why = '', deadLetters = 'keep' }: ApplyOptions = {},
): Promise<AppliedReset> {
  const { group, stream } = plan
  const store = await session.store()
  // Before anything is changed: it may be missing.
  const client = await session.temporal()
  // A store that was emptied does not know how often the partitions were reset; their handlers' progress does.
  const { progress } = await session.progressDatabase(findConsumer(session.config, plan))
  const { done, failure } = await putAll({ store, progress }, plan, { by, why })
  // Before the partitions hear of their new positions: a letter that its owner is to discard gives way to the message that comes again.
  const cleared =
    deadLetters === 'clear' && done.length > 0
      ? await requestIn(
          session,
          { group, stream, partitions: done },
          { what: 'discard', followers: 'discard', by, reason: because('cleared by a reset', why) },
        )
      : null
  const reopened = await reopenPartitions(client, plan, done).catch((error) => {
    throw new TidemarkError(
      'UNREACHABLE',
      `the positions of ${group} on ${stream} are changed (${partitionsNamed(done)}), but those that run could not all be told: ` +
        `${messageOf(temporalError(error, session.config.temporal))}; do it again, or 'tidemark resume' them`,
      { cause: error, place: { group, stream } },
    )
  })
  if (failure) throw failure
  return { group, stream, partitions: done, reopened, cleared: cleared?.letters ?? 0 }
}

/** One after the other, up to the first that fails. */
async function putAll(
  { store, progress }: { readonly store: OffsetStoreClient; readonly progress: Pick<SqlProgressLog, 'read' | 'begin'> },
  { group, stream, kind, identities, moves, seen }: PositionPlan,
  { by, why }: Required<Pick<ApplyOptions, 'by' | 'why'>>,
): Promise<{ done: number[]; failure?: TidemarkError }> {
  const done: number[] = []
  for (const { partition, to } of moves) {
    let isSent = false
    try {
      const identity = identities.get(partition) ?? null
      const key = { group, stream, partition }
      const known = await progress.read(key)
      isSent = true
      const change = { kind, to, by, why, identity, replayAbove: known?.replay ?? 0 }
      const owned = seen?.get(partition)
      if (!owned) await store.reset(key, change)
      else if (!(await store.resetIf(key, owned, change))) throw takenMeanwhile(key)
      // It was lost, or is not there yet: a person has decided now. Not before the store has it: a reset that fails changes nothing.
      if (!known) await progress.begin(key, { position: to, replay: 0, identity })
    } catch (error) {
      const code = isTidemarkError(error) ? error.code : 'UNREACHABLE'
      const lost = isSent && code === 'UNREACHABLE' ? partition : null
      const failure = new TidemarkError(code, `${whatChanged({ group, stream }, done, lost)}: ${messageOf(error)}`, {
        cause: error,
        place: { group, stream, partition },
      })
      return { done, failure }
    }
    done.push(partition)
  }
  return { done }
}

function takenMeanwhile({ group, stream, partition }: PartitionKey): TidemarkError {
  return new TidemarkError(
    'GROUP_ACTIVE',
    `${describePartition({ stream, partition })} of group ${group} was taken up meanwhile: look at 'tidemark status', and try again`,
    { place: { group, stream, partition } },
  )
}

/** @param lost the partition whose change may have been made though its answer never came */
function whatChanged({ group, stream }: GroupName, done: readonly number[], lost: number | null): string {
  const known =
    done.length > 0
      ? `only ${partitionsNamed(done)} of ${group} on ${stream} ${done.length === 1 ? 'is' : 'are'} changed`
      : 'nothing was changed'
  if (lost === null) return known
  return `${known}, except perhaps partition ${lost}, whose answer was lost; 'tidemark history --group ${group}' tells`
}
