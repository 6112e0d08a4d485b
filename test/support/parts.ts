import { describe, inject } from 'vitest'
import type { PartName, PartOf } from './provided.js'

/** The addresses of one part of the running stack. Throws, saying why, when this project's stack has no such part. */
export function part<P extends PartName>(name: P): PartOf<P> {
  const found = inject('stack')[name]
  if (found.missing !== null) throw new Error(`the stack has no ${name}: ${found.missing}`)
  return found as PartOf<P>
}

/**
 * Which of these parts this machine lacks; the run's first lines say why. In CI it is never any: there the run has failed
 * before. Throws for a part that the project's tests don't start: a mistake must not look like a skip.
 */
export function missing(...names: PartName[]): PartName[] {
  const stack = inject('stack')
  return names.filter((name) => {
    const found = stack[name]
    if (found.missing !== null && !found.wanted) throw new Error(`the stack has no ${name}: ${found.missing}`)
    return found.missing !== null
  })
}

/** `describe` for tests that need parts of the stack. Where some are missing they are skipped, and the title says which. */
export function describeWith(names: PartName[], title: string, tests: () => void): void {
  const absent = missing(...names)
  if (absent.length === 0) describe(title, tests)
  else describe.skip(`${title} (skipped: no ${absent.join(', no ')})`, tests)
}
