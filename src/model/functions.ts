import { shown } from './shown.js'

/* What kind of function something is, as far as that can be seen without calling it. */

/**
 * What is wrong with something that has to be a function whose answer is used at once; null where nothing is.
 *
 * @param allowed what stands in front: `must be a function`
 */
export function problemOfSynchronous(value: unknown, allowed: string): string | null {
  if (isAsync(value)) return `${allowed}; this is async, and its promise is not awaited: make it synchronous`
  return problemOfFunction(value, allowed)
}

/** The same for a function whose answer may be a promise. */
export function problemOfFunction(value: unknown, allowed: string): string | null {
  if (typeof value !== 'function') return value === undefined ? allowed : `${allowed}, not ${shown(value)}`
  const never = whyNeverRun(value)
  return never === null ? null : `${allowed}; this is ${never}`
}

/** Says what a function is whose body a call would never run; null of every other one. */
export function whyNeverRun(value: unknown): string | null {
  if (isGenerator(value)) return 'a generator, whose body would never run'
  if (isClass(value)) return 'a class, which can only be called with new: give one of its methods, bound to an instance'
  return null
}

/** Older compilers turn classes into functions, which are not told from others. */
function isClass(value: unknown): boolean {
  return typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value))
}

/** An async generator is one, too. */
export function isGenerator(value: unknown): boolean {
  return /GeneratorFunction\]$/.test(Object.prototype.toString.call(value))
}

function isAsync(value: unknown): boolean {
  return Object.prototype.toString.call(value) === '[object AsyncFunction]'
}

/** A promise, or another thing that can be awaited. Never throws. */
export function isThenable(value: unknown): boolean {
  try {
    const holds = (typeof value === 'object' && value !== null) || typeof value === 'function'
    return holds && typeof Reflect.get(value as object, 'then') === 'function'
  } catch {
    return false
  }
}
