import { messageOf } from '../../src/model/errors.js'
import type { Message } from '../../src/ports/index.js'
import { redact } from './redact.js'

/**
 * What a person reads of something that user code threw, without pieces of the messages. Anything can be thrown, and looking at it
 * can throw as well: that must not hide which messages failed.
 */
export function textOfThrown(thrown: unknown, messages: readonly Message[]): string {
  const text = unlessItThrows(() => rawText(thrown)) ?? 'it threw something whose text cannot be read'
  return (
    unlessItThrows(() => redact(text, messages)) ??
    'its text is withheld: it could not be searched for pieces of the messages'
  )
}

/** Where an error came from: the innermost five frames of its stack, without the text above them. */
export function framesOf(thrown: unknown): readonly string[] {
  const stack = unlessItThrows(() => (thrown instanceof Error ? thrown.stack : undefined))
  if (typeof stack !== 'string') return []
  return stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 5)
    .map((frame) => frame.trim())
}

function rawText(thrown: unknown): string {
  if (thrown instanceof Error) {
    const { name } = thrown
    return `${name === 'Error' ? '' : `${name}: `}${messageOf(thrown)}`
  }
  if (typeof thrown === 'function') return 'it threw a function'
  if (typeof thrown !== 'object' || thrown === null)
    return typeof thrown === 'string' && thrown !== '' ? thrown : `it threw ${thrown === '' ? "''" : String(thrown)}`
  // Errors of another realm, and objects that are made like one.
  const message: unknown = Reflect.get(thrown, 'message')
  return typeof message === 'string' && message !== '' ? message : 'it threw an object without a message'
}

/** Undefined where looking throws. */
export function unlessItThrows<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch {
    return undefined
  }
}
