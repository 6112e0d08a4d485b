/*
 * What the bench and a contender's process tell each other, by Node's own channel between parent and child.
 */

export const contenders = ['plain', 'tidemark'] as const
/** Runs the drain when asked for: what the inbox costs. */
export const withDedupe = 'tidemark+dedupe'
/** The drain written with COPY. Only a consumer whose effects happen once can use it: COPY has no `on conflict`. */
export const withCopy = 'tidemark+copy'
export type ContenderName = (typeof contenders)[number] | typeof withDedupe | typeof withCopy

/** What a contender reads. */
export type LogJob =
  | { readonly kind: 'kafka'; readonly brokers: readonly string[]; readonly topic: string }
  | { readonly kind: 'rabbitmq'; readonly url: string; readonly superStream: string }

/** Everything a contender has to know. */
export interface Job {
  readonly contender: ContenderName
  readonly log: LogJob
  readonly partitions: number
  /** Tidemark's settings where the bench does not leave them at their defaults. */
  readonly settings?: {
    readonly slices?: number
    readonly batch?: { readonly restAfter: string }
    /** The handler throws at messages with an amount below 0, which are set aside at once: for a person, or to come back by themselves. */
    readonly poison?: 'aside' | 'later'
  }
  /** Consumer group; new for each run. */
  readonly group: string
  readonly connectionString: string
  /** The table that effects go to. */
  readonly table: string
  readonly temporal: { readonly address: string; readonly namespace: string }
}

/** A contender that is connected but has read nothing. */
export interface Contender {
  /** Begins to consume from the log's first message. */
  go(): Promise<void>
  /** Ends in order. Returns the events that Temporal keeps of the run: 0 without Temporal. */
  stop(): Promise<{ readonly historyEvents: number }>
}

export type ToChild =
  | { readonly do: 'prepare'; readonly job: Job }
  | { readonly do: 'go' }
  | { readonly do: 'look' }
  | { readonly do: 'stop' }

/** What the process used. CPU from `go` to `stop`, user and system; memory over its whole life. */
export interface Usage {
  readonly cpuSeconds: number
  readonly peakRssMb: number
  readonly historyEvents: number
}

/** What the process has used so far, and holds now. */
export interface Look {
  /** From `go`, user and system. */
  readonly cpuSeconds: number
  readonly rssMb: number
}

export type FromChild =
  | { readonly did: 'prepare' }
  | { readonly did: 'go' }
  | { readonly did: 'look'; readonly look: Look }
  | { readonly did: 'stop'; readonly usage: Usage }
  | { readonly did: 'fail'; readonly error: string }
