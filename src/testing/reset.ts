import { applyResetIn } from '../client/apply.js'
import { planResetIn } from '../client/reset.js'
import { Session } from '../client/session.js'
import type { ResetTarget } from '../client/target.js'
import type { ParsedConfig } from '../config/parse.js'

/** Which positions `reset` moves. */
export interface ResetWhich {
  /** May be left out where the config has only one. */
  readonly group?: string
  /** Default: all. */
  readonly partitions?: readonly number[]
}

/** Moves positions as `tidemark reset` does. Returns the partitions that were moved. */
export async function resetPositions(
  config: ParsedConfig,
  to: ResetTarget,
  which: ResetWhich,
): Promise<readonly number[]> {
  const session = new Session(config)
  try {
    const plan = await planResetIn(session, { ...which, to })
    return (await applyResetIn(session, plan, { by: 'a test', why: 'a test' })).partitions
  } finally {
    await session.close()
  }
}
