import type { PartitionKey } from '../../src/model/partition.js'
import type { LetterSettings } from '../../src/model/policy.js'
import { lookAt, unlessItThrows } from '../../src/model/thrown.js'
import type { LetterFailure, NewLetter, OutputRecord, RawMessage } from '../../src/ports/index.js'

const mostText = 1_000

/** Of an error's text, what a person has left of it, cut. */
export function redacted(text: string, redact: ((text: string) => string) | undefined): string {
  if (!redact) return text.slice(0, mostText)
  try {
    const left: unknown = redact(text)
    // A rejection that nobody takes would end the worker.
    if (left instanceof Promise) left.catch(() => {})
    return typeof left === 'string' ? left.slice(0, mostText) : 'redact returned no text'
  } catch (error) {
    return `redact failed: ${unlessItThrows(() => lookAt(error).className) ?? 'it threw'}`
  }
}

/** A message that goes behind another one of its key. */
export function follower(
  message: RawMessage,
  replay: number,
  queue: string | null,
  settings: LetterSettings | null,
): NewLetter {
  const nothing = { class: 'behind', code: null, error: '', tries: 0, firstAt: null, lastAt: null } as const
  return letterOf(message, replay, queue, nothing, settings)
}

/** @param dueAt when it comes back by itself */
export function letterOf(
  message: RawMessage,
  replay: number,
  queue: string | null,
  failure: LetterFailure,
  settings: LetterSettings | null,
  dueAt?: number,
): NewLetter {
  const reference = settings?.keep === 'reference'
  return {
    ...failure,
    replay,
    queue,
    message: reference ? { ...message, key: null, value: null, headers: [] } : message,
    ...(reference && { reference }),
    state: 'waiting',
    ...(dueAt !== undefined && { dueAt }),
  }
}

/** A message that is skipped by its consumer's policy: only what it was is kept. */
export function skipped(message: RawMessage, replay: number, failure: LetterFailure): NewLetter {
  return {
    ...failure,
    replay,
    queue: null,
    message: { ...message, key: null, value: null, headers: [] },
    state: 'skipped',
  }
}

const prefix = 'tidemark-dead-letter-'

/** A message on its way to a topic of dead letters: as it was, with headers that say what went wrong. Those of an earlier time are replaced. */
export function topicRecord(
  topic: string,
  { group, stream, partition }: PartitionKey,
  { key, value, headers, offset, timestamp }: RawMessage,
  failure: LetterFailure,
): OutputRecord {
  const said: Readonly<Record<string, string | null>> = {
    group,
    stream,
    partition: String(partition),
    offset: String(offset),
    timestamp: String(timestamp),
    class: failure.class,
    code: failure.code,
    error: failure.error,
    tries: String(failure.tries),
    'first-failed-at': iso(failure.firstAt),
    'last-failed-at': iso(failure.lastAt),
  }
  return {
    topic,
    key,
    value,
    headers: [
      ...headers.filter(([name]) => !name.startsWith(prefix)),
      ...Object.entries(said).map(
        ([name, text]) => [`${prefix}${name}`, text === null ? null : Buffer.from(text)] as const,
      ),
    ],
  }
}

function iso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}
