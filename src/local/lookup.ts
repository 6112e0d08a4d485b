import { messageOf, TidemarkError } from '../model/errors.js'

/** One way to get something. `find` throws what stood in its way. */
export interface Way<T> {
  readonly name: string
  readonly find: () => Promise<T>
}

/**
 * Tries the ways in order and returns what the first one finds that works. Throws CONFIG_INVALID, listing what was tried
 * and `advice`, when none does.
 */
export async function firstOf<T>(what: string, ways: readonly Way<T>[], advice: string): Promise<T> {
  const tried: string[] = []
  const errors: unknown[] = []
  for (const way of ways) {
    try {
      return await way.find()
    } catch (error) {
      errors.push(error)
      tried.push(`  - ${way.name}: ${messageOf(error)}`)
    }
  }
  throw new TidemarkError('CONFIG_INVALID', `no ${what}. Tried:\n${tried.join('\n')}\n${advice}`, {
    cause: new AggregateError(errors),
  })
}
