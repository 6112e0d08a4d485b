import { Wire } from '../../support/wire.js'
import type { Parts } from '../ground.js'
import type { ChaosWorker, Workers } from '../workers.js'

export type WireName = 'kafka' | 'postgres' | 'temporal'

/** A worker with wires of its own to Postgres and Temporal, and the one to Kafka, which sends all clients to the same port. */
export interface CrewMember {
  readonly worker: ChaosWorker
  readonly wires: Readonly<Record<WireName, Wire>>
  /** By `performance.now()`. */
  readonly joinedAt: number
}

/** A worker needs about so long until it has something to lose, ms. */
const settlesIn = 6_000

/** The workers of a storm. */
export class Crew {
  readonly #members = new Map<string, CrewMember>()
  readonly #wires = new Set<Wire>()

  /** @param kafka the wire that the broker sends its clients to */
  constructor(
    readonly workers: Workers,
    private readonly parts: Parts,
    private readonly kafka: Wire,
  ) {
    this.#wires.add(kafka)
  }

  /** Those that nobody has told to end. */
  get members(): readonly CrewMember[] {
    return [...this.#members.values()].filter(({ worker }) => this.workers.alive.has(worker.name))
  }

  /** Those that are likely to have something to lose; all of them where there is none. */
  get settled(): readonly CrewMember[] {
    const settled = this.members.filter(({ joinedAt }) => performance.now() - joinedAt > settlesIn)
    return settled.length > 0 ? settled : this.members
  }

  async join(): Promise<CrewMember> {
    const database = new URL(this.parts.databaseUrl)
    const [postgres, temporal] = await Promise.all([Wire.to(database.host), Wire.to(this.parts.temporal.address)])
    for (const wire of [postgres, temporal]) this.#wires.add(wire)
    database.host = postgres.address
    const worker = this.workers.start({ DATABASE_URL: database.href, TEMPORAL_ADDRESS: temporal.address })
    const member = { worker, wires: { kafka: this.kafka, postgres, temporal }, joinedAt: performance.now() }
    this.#members.set(worker.name, member)
    return member
  }

  /** Every wire is whole and every worker awake. */
  calm(): void {
    for (const wire of this.#wires) wire.heal()
    for (const { worker } of this.#members.values()) worker.process.kill('SIGCONT')
  }

  async end(): Promise<void> {
    this.calm()
    await this.workers.end()
    for (const wire of this.#wires) if (wire !== this.kafka) await wire.close()
  }
}
