import { messageOf } from '../../src/model/errors.js'
import { type GroupName, sliceWorkflowId } from '../../src/model/partition.js'
import type { Cluster, ConsumerRuntime, WorkflowLook } from '../runtime.js'
import { silenceBegan, silenceEnded } from './outage.js'

/**
 * How often a batch looks at its own workflow for commands, ms. A look costs nothing. Heartbeats are billed, so they are rare, and a
 * command would take up to 0.8 heartbeat timeouts to arrive with one.
 */
const lookEvery = 2_000

export interface Listener {
  /** The whole batch is to end after the chunks in hand. */
  end(): void
  /** Partitions are to be let go after the chunk in hand. */
  release(isAsked: (partition: number, epoch: number, batch: number) => boolean): void
}

/**
 * What the slice workflow wants of a batch that is under way.
 *
 * - `heard`   Temporal answered the last look
 * - `unheard` it did not: commands can't come, and a cancellation only means that no heartbeat gets through
 */
export class Orders {
  #heard = true
  #last: WorkflowLook | null = null
  #timer: NodeJS.Timeout | undefined
  #over = false

  constructor(
    private readonly cluster: Cluster,
    private readonly log: ConsumerRuntime['log'],
    private readonly name: GroupName,
    private readonly slice: number,
    private readonly activityId: string,
  ) {}

  get heard(): boolean {
    return this.#heard
  }

  /** Whether Temporal has missed the worker of the try before, as of the last look. */
  get lost(): boolean {
    return this.#last?.lost.has(this.activityId) ?? false
  }

  /** Looks once, and tells the listener. Never rejects. */
  async look(listener: Listener): Promise<void> {
    const workflowId = sliceWorkflowId(this.name, this.slice)
    try {
      this.#last = await this.cluster.look(workflowId)
      if (silenceEnded(this.cluster, this)) this.log.info({}, 'Temporal answers again')
      this.#heard = true
    } catch (error) {
      if (!this.#over && silenceBegan(this.cluster, this))
        this.log.warn(
          { error: messageOf(error) },
          'Temporal does not answer: open batches go on and commit by themselves; commands reach them when Temporal answers again',
        )
      this.#heard = false
      return
    }
    const look = this.#last
    if (look?.status !== 'running' || look.cancelled.has(this.activityId)) listener.end()
    else if (look.memo.letGo) {
      const asked = look.memo.letGo
      listener.release((partition, epoch, batch) => {
        const [askedEpoch, askedBatch] = asked[String(partition)] ?? [-1, -1]
        return epoch < askedEpoch || (epoch === askedEpoch && batch <= askedBatch)
      })
    }
  }

  /** Looks at once, and says whether Temporal has answered. */
  async answers(listener: Listener): Promise<boolean> {
    await this.look(listener)
    return this.#heard
  }

  /** Looks again and again, until `stop`. */
  follow(listener: Listener): void {
    const next = () => {
      if (this.#over) return
      this.#timer = setTimeout(() => void this.look(listener).then(next), lookEvery)
    }
    next()
  }

  stop(): void {
    this.#over = true
    silenceEnded(this.cluster, this)
    clearTimeout(this.#timer)
  }
}
