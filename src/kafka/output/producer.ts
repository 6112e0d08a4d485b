import { messageOf, TidemarkError } from '../../model/errors.js'
import type { OutputRecord } from '../../ports/index.js'
import { pause } from '../../reading/backoff.js'
import { codeName, producerMeaningOf } from '../client/error-codes.js'
import type { ProducerIdentity } from './batch.js'
import type { Cluster } from './cluster.js'
import { batchesOf, deliver, type Placed, Sequences } from './deliver.js'
import type { Placer } from './place.js'
import { initProducerId } from './protocol.js'

/** One call of `send`, while it waits for its turn and for its answers. */
interface Call {
  readonly placed: readonly Placed[]
  failure: Error | null
  readonly end: () => void
}

interface PlacedBy extends Placed {
  readonly call: Call
}

/**
 * The idempotent producer of a worker's consumer. One delivery is under way at a time; what comes meanwhile goes out together
 * in the next one, so that many partitions that write little share their requests.
 */
export class IdempotentProducer {
  #waiting: Call[] = []
  #running = false
  #identity: { readonly of: ProducerIdentity; readonly sequences: Sequences } | null = null

  constructor(
    private readonly cluster: Cluster,
    private readonly placer: Placer,
  ) {}

  /** Resolves when all of it is acknowledged. @throws TidemarkError OUTPUT_FAILED, UNREACHABLE, AUTH_FAILED */
  async send(records: readonly OutputRecord[]): Promise<void> {
    if (records.length === 0) return
    const placed = await this.placer.place(records)
    await new Promise<void>((resolve, reject) => {
      const call: Call = { placed, failure: null, end: () => (call.failure ? reject(call.failure) : resolve()) }
      this.#waiting.push(call)
      if (!this.#running) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#running = true
    for (let calls = this.#take(); calls.length > 0; calls = this.#take()) {
      try {
        await this.#deliver(calls)
      } catch (error) {
        this.#identity = null
        for (const call of calls) call.failure ??= error as Error
      }
      for (const call of calls) call.end()
    }
    this.#running = false
  }

  #take(): Call[] {
    return this.#waiting.splice(0)
  }

  async #deliver(calls: readonly Call[]): Promise<void> {
    this.#identity ??= { of: await begin(this.cluster), sequences: new Sequences() }
    const { of, sequences } = this.#identity
    const all = calls.flatMap((call) => call.placed.map((placed): PlacedBy => ({ ...placed, call })))
    const failed = await deliver(this.cluster, of, sequences, batchesOf(all))
    if (failed.size === 0) return
    // The broker may or may not have what failed. Other messages under the same numbers would be taken for a repetition,
    // and be lost.
    this.#identity = null
    for (const [{ placed }, error] of failed) for (const { call } of placed) call.failure ??= error
  }
}

/** A new producer id, from any broker. */
async function begin(cluster: Cluster): Promise<ProducerIdentity> {
  const until = performance.now() + cluster.settings.deliveryTimeoutMs
  for (let tries = 1; ; tries++) {
    let problem: string
    try {
      const { code, ...identity } = await cluster.askAny(initProducerId, { transactionalId: null, timeoutMs: 0 })
      if (producerMeaningOf(code) === 'done') return { ...identity, transactionalId: null }
      problem = codeName(code)
    } catch (error) {
      problem = messageOf(error)
    }
    if (performance.now() > until || cluster.signal.aborted)
      throw new TidemarkError('OUTPUT_FAILED', `could not begin to write to Kafka: ${problem}`, {
        cause: new TidemarkError('UNREACHABLE', problem),
      })
    await pause(tries, cluster.signal)
  }
}
