import type { Sample } from './sample.js'

/** Where the parts are that a soak's worker uses, and the streams it reads. */
export interface Places {
  readonly databaseUrl: string
  readonly brokers: readonly string[]
  readonly rabbitmqUrl: string
  readonly temporal: { readonly address: string; readonly namespace: string }
  /** Begins the names of all streams, and names the deployment. */
  readonly name: string
}

/** A leak made on purpose: what a soak says about it shows that it would see a real one. */
export type Leak = 'listener' | 'message' | 'timer' | 'socket'
export const leaks: readonly Leak[] = ['listener', 'message', 'timer', 'socket']

/** What the worker's process is told. */
export type Order =
  /** Runs this version beside the one before, then ends that one, as a rolling deploy does. */
  | { readonly do: 'deploy'; readonly places: Places; readonly version: string; readonly leak: Leak | null }
  | { readonly do: 'sample' }
  /** Ends the worker, and says what is left of it. */
  | { readonly do: 'end' }

/** What the worker's process answers. Orders are answered one by one, whichever is done first. */
export type Answer =
  | { readonly to: number; readonly sample: Sample }
  | { readonly to: number; readonly done: true }
  | { readonly to: number; readonly error: string }
