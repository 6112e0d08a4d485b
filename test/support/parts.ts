import { describe, inject } from 'vitest'
import type { PartName, PartOf } from './provided.js'

/** The addresses of one part of the running stack. Throws, saying why, when this project's stack has no such part. */
export function part<P extends PartName>(name: P): PartOf<P> {
  const found = inject('stack')[name]
  if (found.missing !== null) throw new Error(`the stack has no ${name}: ${found.missing}`)
  return found as PartOf<P>
}

/**
 * Why tests that need these parts can't run on this machine, or undefined when they can. In CI it is never a reason: there
 * the run has failed before. Throws for a part that the project's tests don't start: a mistake must not look like a skip.
 */
export function missing(...names: PartName[]): string | undefined {
  const stack = inject('stack')
  const reasons = names.flatMap((name) => {
    const found = stack[name]
    if (found.missing === null) return []
    if (!found.wanted) throw new Error(`the stack has no ${name}: ${found.missing}`)
    return [`${name}: ${found.missing}`]
  })
  return reasons.length === 0 ? undefined : reasons.join('; ')
}

/** `describe` for tests that need parts of the stack. Where one is missing they are skipped, and the title says which. */
export function describeWith(names: PartName[], title: string, tests: () => void): void {
  const reason = missing(...names)
  if (reason === undefined) describe(title, tests)
  else describe.skip(`${title} (skipped, missing ${reason})`, tests)
}
