import type { Message } from '../../src/ports/index.js'

/** Values shorter than this occur in error texts by chance. */
const shortest = 4
/** Enough for any message that an error can quote; bounds the work for huge ones. */
const mostLeaves = 20_000

/**
 * Takes pieces of the messages out of an error's text. Drivers quote the value they choke on (`invalid input syntax for type
 * integer: "..."`), JSON.parse quotes the document, and all of it would end up in Temporal's history.
 * Field names stay: they help, and they are not data.
 */
export function redact(text: string, messages: readonly Message[]): string {
  let clean = text
  for (const leaf of leaves(messages)) if (clean.includes(leaf)) clean = clean.replaceAll(leaf, '[redacted]')
  return clean
}

function leaves(messages: readonly Message[]): string[] {
  const found = new Set<string>()
  const visit = (value: unknown): void => {
    if (found.size >= mostLeaves) return
    if (typeof value === 'string') add(value)
    else if (typeof value === 'number' || typeof value === 'bigint') add(String(value))
    else if (Buffer.isBuffer(value)) add(value.toString('utf8'))
    else if (Array.isArray(value)) for (const item of value) visit(item)
    else if (value !== null && typeof value === 'object') for (const item of Object.values(value)) visit(item)
  }
  const add = (value: string): void => {
    if (value.length < shortest) return
    found.add(value)
    // A quoted piece of a longer text: the words of it.
    if (value.length > 16) for (const word of value.split(/[^\p{L}\p{N}_-]+/u)) if (word.length >= 8) found.add(word)
  }
  for (const message of messages) {
    visit(message.key)
    visit(message.value)
    for (const [, value] of message.headers) visit(value)
  }
  // Longest first, so that a value is taken out whole before a shorter one inside it.
  return [...found].sort((a, b) => b.length - a.length)
}
