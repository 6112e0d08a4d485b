import { setMaxListeners } from 'node:events'
import type { BatchTrouble } from '../../src/model/batch.js'
import type { SliceMemo } from '../../src/model/commands.js'
import { names } from '../../src/model/commands.js'
import { type GroupName, sliceWorkflowId } from '../../src/model/partition.js'
import { pauseFor } from '../../src/model/pause.js'
import { identityChangedOrGone } from '../batch/identity.js'
import type { ConsumerRuntime, WorkflowLook } from '../runtime.js'
import type { WorkObserver } from '../story/observer.js'

/** A slice that still rests this long after it was woken is woken again, ms: the signal may have been lost. */
const wakeAgainAfter = 10_000
/** How often the mirrored offsets of partitions at rest are refreshed, if they need to be, ms. */
const keepEvery = 60_000
/** A workflow counts as missing after this long, ms: it may be just starting, or between two runs. */
const missingAfter = 10_000
/** How often a stream at rest is checked, ms: it may have been deleted, or replaced by another one of the same name. */
const streamEvery = 60_000

/**
 * - `unknown` not looked at yet
 * - `working` it runs, and has batches under way
 * - `resting` it waits: this watch waits for messages on its behalf
 * - `missing` its workflow is not there
 * - `cancelled`, `terminated` a person has ended its workflow
 */
export type SliceState = 'unknown' | 'working' | 'resting' | 'missing' | 'cancelled' | 'terminated'

/** How a slice rests, and where each of its partitions does. */
export type SliceRest = NonNullable<SliceMemo['rest']>

/** Waits for messages on behalf of one slice, as long as it rests, and wakes it. */
export class SliceWatch {
  #state: SliceState = 'unknown'
  #missingSince: number | null = null
  /** It was ended, since no worker could go on with it. */
  #ended = false
  #rest: SliceRest | undefined
  #keptAt = Number.NEGATIVE_INFINITY
  /** Ends the waits for messages. */
  #end: AbortController | undefined
  /** The last rest that messages came for, and when the slice was told. */
  #woken: { readonly count: number; readonly at: number } | undefined
  /** What the slice was told of its batches that are there still. */
  #told = new Map<string, string>()
  #stopped: SliceMemo['stopped']

  constructor(
    private readonly runtime: Pick<ConsumerRuntime, 'source' | 'cluster' | 'log' | 'keepOffset' | 'queues'> & {
      readonly story: Pick<WorkObserver, 'watched'>
    },
    private readonly name: GroupName,
    readonly slice: number,
  ) {}

  get state(): SliceState {
    return this.#state
  }

  /** It rests, and was not woken since: nothing is to be seen of it for a while. One that was woken may rest again in a moment. */
  get quiet(): boolean {
    return this.#state === 'resting' && this.#woken?.count !== this.#rest?.count
  }

  /** Whether the slice has been missing long enough to be started again. */
  get gone(): boolean {
    return this.#ended || (this.#missingSince !== null && performance.now() - this.#missingSince >= missingAfter)
  }

  /** Looks at the slice's workflow. Throws where Temporal does not answer. */
  async look(): Promise<void> {
    const look = await this.runtime.cluster.look(sliceWorkflowId(this.name, this.slice))
    this.#ended = look?.status === 'running' && (await this.#endStranded(look))
    const status = this.#ended ? 'ended' : (look?.status ?? 'ended')
    this.#state = status === 'running' ? 'working' : status === 'ended' ? 'missing' : status
    if (this.#state === 'missing') this.#missingSince ??= performance.now()
    else this.#missingSince = null
    // A batch that is under way has its partitions. Those that rest are listed even so.
    const rest = status === 'running' ? look?.memo.rest : undefined
    if (rest && look!.batches.size === 0) this.#state = 'resting'
    if (rest?.count !== this.#rest?.count) this.#follow(rest)
    else if (rest && this.#woken?.count === rest.count && this.#state === 'resting') await this.#wakeAgain(rest)
    else if (rest && this.#state === 'resting') this.#keepOffsets(rest)
    this.#stopped = status === 'running' ? look?.memo.stopped : undefined
    this.#show()
    if (this.#state === 'working') await this.#tellTrouble(look!)
  }

  /** For the metrics: no batch has the partitions of a slice at rest. */
  #show(): void {
    const rest = this.quiet ? this.#rest : undefined
    this.runtime.story.watched(this.slice, { ...(rest && { rest }), ...(this.#stopped && { stopped: this.#stopped }) })
  }

  /** Wakes the slice if it is at rest and `shouldWake` says so. */
  async wakeIf(shouldWake: (partitions: SliceRest['partitions']) => Promise<boolean>): Promise<void> {
    const rest = this.#rest
    if (rest && this.quiet && (await shouldWake(rest.partitions)) && rest === this.#rest) await this.#wake(rest)
  }

  stop(): void {
    this.#end?.abort()
    this.runtime.story.watched(this.slice, null)
  }

  /**
   * Ends a slice that no worker can continue: one of another build of Tidemark whose workers left without handing it over, or one that Temporal
   * has restored to an older state.
   */
  async #endStranded({ taskQueue, failing }: WorkflowLook): Promise<boolean> {
    const { cluster, queues, log } = this.runtime
    if (taskQueue === queues.workflows && !failing) return false
    const ended = await cluster.endStranded(sliceWorkflowId(this.name, this.slice), queues.workflows)
    const why = failing
      ? 'is in an older state than its workers, as after a restore of Temporal'
      : 'belonged to another build of Tidemark, of which no worker is left'
    if (ended)
      log.warn(
        { ...this.name, slice: this.slice },
        `slice ${this.slice} of ${this.name.stream} ${why}: starting it again`,
      )
    return ended
  }

  /**
   * A workflow does not see that Temporal retries a batch, or that a person holds it. It is told when that begins, and when it ends while
   * the batch is there still, and never of a single try: a signal is billed. That a batch has ended it knows.
   */
  async #tellTrouble({ batches, taskQueue }: WorkflowLook): Promise<void> {
    const { cluster, log, queues } = this.runtime
    for (const id of this.#told.keys()) if (!batches.has(id)) this.#told.delete(id)
    const news = [...batches].some(([id, trouble]) => this.#told.get(id) !== (trouble ? sayingOf(trouble) : undefined))
    if (!news || taskQueue !== queues.workflows) return
    const troubled = [...batches].flatMap(([id, trouble]) => (trouble ? [[id, trouble] as const] : []))
    try {
      await cluster.signal(sliceWorkflowId(this.name, this.slice), names.trouble, Object.fromEntries(troubled))
      this.#told = new Map(troubled.map(([id, trouble]) => [id, sayingOf(trouble)]))
    } catch (error) {
      const about = { ...this.name, slice: this.slice, error: String(error) }
      log.debug(about, 'could not tell a slice of its batches in trouble; trying again')
    }
  }

  #follow(rest: SliceMemo['rest']): void {
    this.#end?.abort()
    this.#rest = rest
    if (!rest) return
    const end = new AbortController()
    // One of each partition.
    setMaxListeners(0, end.signal)
    this.#end = end
    for (const [partition, [position]] of Object.entries(rest.partitions))
      void this.#wait(Number(partition), BigInt(position), rest, end)
    void this.#watchStream(rest, end)
    this.#keptAt = Number.NEGATIVE_INFINITY
    this.#keepOffsets(rest)
  }

  async #wait(partition: number, position: bigint, rest: SliceRest, end: AbortController): Promise<void> {
    const found = await this.runtime.source.waitForData(partition, position, end.signal).catch(() => false)
    if (!found || end.signal.aborted) return
    // One is enough: the slice wakes as a whole.
    end.abort()
    await this.#wake(rest)
  }

  /** Positions mean nothing in another stream of the same name: nothing may ever come at them. The slice finds out when it wakes. */
  async #watchStream(rest: SliceRest, end: AbortController): Promise<void> {
    const { source } = this.runtime
    const { signal } = end
    while (!signal.aborted) {
      for (const [partition, [, identity]] of Object.entries(rest.partitions)) {
        const changed = await identityChangedOrGone(source, Number(partition), identity, signal).catch(() => true)
        if (signal.aborted) return
        if (!changed) continue
        end.abort()
        return this.#wake(rest)
      }
      await pauseFor(streamEvery, signal)
    }
  }

  /** Brokers forget the offsets of groups that commit nothing. */
  #keepOffsets({ partitions }: SliceRest): void {
    if (performance.now() - this.#keptAt < keepEvery) return
    this.#keptAt = performance.now()
    for (const partition of Object.keys(partitions))
      void this.runtime.keepOffset({ ...this.name, partition: Number(partition) })
  }

  async #wakeAgain(rest: SliceRest): Promise<void> {
    if (performance.now() - this.#woken!.at >= wakeAgainAfter) await this.#wake(rest)
  }

  async #wake({ count }: SliceRest): Promise<void> {
    this.#woken = { count, at: performance.now() }
    this.#show()
    const { cluster, log } = this.runtime
    await cluster.signal(sliceWorkflowId(this.name, this.slice), names.wake).catch((error) => {
      log.debug({ ...this.name, slice: this.slice, error: String(error) }, 'could not wake a slice; trying again')
    })
  }
}

/** What of a trouble is news when it changes: that it goes on is none. */
function sayingOf({ state, partitions }: BatchTrouble): string {
  return `${state} ${partitions ?? ''}`
}
