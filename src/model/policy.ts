/* What becomes of messages that fail, as the consumer's options say it. */

/**
 * - `block`       the partition stops in front of the message; it goes on when a worker starts, or at `tidemark resume`
 * - `pause`       the same, until a person resumes it
 * - `skip`        goes on behind it; which message it was stays recorded
 * - `dead-letter` sets it aside in the handlers' database
 * - `topic`       writes it to a topic
 */
export type AfterLastTry =
  | { readonly policy: 'block' | 'pause' | 'skip' }
  | ({ readonly policy: 'dead-letter' } & LetterSettings)
  | { readonly policy: 'topic'; readonly topic: string }

export interface LetterSettings {
  /** `key`: later messages of the same key are set aside behind it. */
  readonly order: 'key' | 'none'
  /** Whether messages without a key are a queue together. */
  readonly nullKeys: 'alone' | 'together'
  /** `reference`: without key, value and headers; redriven from the log. */
  readonly keep: 'content' | 'reference'
  /** Of one partition: beyond these, it pauses. */
  readonly limits: { readonly keys: number; readonly messages: number; readonly ageMs: number | null }
  /** How long letters that are done with are remembered. */
  readonly retentionMs: number
  /** Brings a message back by itself after so many ms, once for each; after that it waits for a person. */
  readonly delaysMs: readonly number[]
}

export interface FailureSettings {
  /** Tries of one message; null: no end. */
  readonly attempts: number | null
  /** Tries of a chunk in its place, for reasons that pass at once: a deadlock, a serialization failure. */
  readonly immediate: number
  /** Part of a pause that chance adds or takes, 0 to 1. */
  readonly jitter: number
  /** Looks for the message that fails by halving its chunk. */
  readonly isolate: boolean
  readonly afterLastTry: AfterLastTry
  /** So many messages in a row at their last try count as an outage; null: never. */
  readonly outageAfter: number | null
  /** Workers that are lost at one message before it is set aside. */
  readonly crashes: number
}
