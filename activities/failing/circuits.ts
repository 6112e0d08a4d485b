import type { Log } from '../../src/ports/index.js'

/** Pauses between two tries of something that is away: the first, and the longest, ms. */
const [firstPause, longestPause] = [500, 5_000]
/** A try that takes longer than this holds the others up no more, ms. */
const patience = 10_000
/** How often those that wait look whether a try of another one has ended, ms. */
const lookEvery = 200

/** Something that handlers need and that is away. */
interface Circuit {
  readonly name: string
  readonly since: number
  readonly waiting: Set<string>
  pause: number
  /** By `performance.now()`. */
  tryAt: number
  /** Who tries now, and since when. */
  trying: { readonly by: string; readonly since: number } | null
}

/** What a partition waits for. */
export interface Waiting {
  readonly dependency: string
  readonly since: Date
}

/**
 * What handlers need and is away, for all partitions of a worker: as long as it is, one of the partitions that need it tries, with one
 * chunk, every few seconds. A partition waits for one thing at a time.
 */
export class Circuits {
  readonly #circuits = new Map<string, Circuit>()

  constructor(private readonly log: Log) {}

  /** A chunk of the partition failed for that reason. */
  failed(partition: string, dependency: string): void {
    const now = performance.now()
    let circuit = this.#circuits.get(dependency)
    if (!circuit) {
      const waiting = new Set<string>()
      circuit = { name: dependency, since: Date.now(), waiting, pause: firstPause, tryAt: 0, trying: null }
      circuit.tryAt = now + jittered(firstPause)
      this.#circuits.set(dependency, circuit)
      this.log.warn(
        { dependency },
        `unavailable: ${dependency}; partitions that need it wait, and try it every few seconds`,
      )
    } else if (circuit.trying?.by === partition) {
      circuit.pause = Math.min(2 * circuit.pause, longestPause)
      circuit.tryAt = now + jittered(circuit.pause)
      circuit.trying = null
    }
    for (const other of this.#circuits.values()) if (other !== circuit) this.#leave(other, partition)
    circuit.waiting.add(partition)
  }

  /** How long the partition has to wait, ms, before it asks again; 0: it may try. */
  waitOf(partition: string): number {
    const circuit = this.#of(partition)
    if (!circuit) return 0
    const now = performance.now()
    if (circuit.trying?.by === partition) return 0
    if (circuit.trying && now - circuit.trying.since < patience) return lookEvery
    if (now < circuit.tryAt) return Math.ceil(Math.min(circuit.tryAt - now, lookEvery))
    circuit.trying = { by: partition, since: now }
    return 0
  }

  /** The partition has handled a chunk: what it waited for is back. */
  handled(partition: string): void {
    if (this.#circuits.size === 0) return
    const circuit = this.#of(partition)
    if (!circuit) return
    this.#circuits.delete(circuit.name)
    const ms = Date.now() - circuit.since
    this.log.info({ dependency: circuit.name, ms }, `available again after ${Math.round(ms / 1000)} s: ${circuit.name}`)
  }

  /** The partition is no affair of this worker any more, or failed for another reason. */
  left(partition: string): void {
    for (const circuit of this.#circuits.values()) this.#leave(circuit, partition)
  }

  waitingOf(partition: string): Waiting | null {
    if (this.#circuits.size === 0) return null
    const circuit = this.#of(partition)
    return circuit ? { dependency: circuit.name, since: new Date(circuit.since) } : null
  }

  #of(partition: string): Circuit | undefined {
    for (const circuit of this.#circuits.values()) if (circuit.waiting.has(partition)) return circuit
    return undefined
  }

  #leave(circuit: Circuit, partition: string): void {
    if (!circuit.waiting.delete(partition)) return
    if (circuit.trying?.by === partition) circuit.trying = null
    if (circuit.waiting.size > 0) return
    this.#circuits.delete(circuit.name)
    this.log.info({ dependency: circuit.name }, `no partition of this worker waits any more for: ${circuit.name}`)
  }
}

/** Workers that fail together are not to try together. */
function jittered(ms: number): number {
  return ms * (0.75 + Math.random() / 2)
}
