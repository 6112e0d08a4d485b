import type { OpenRequest, Ownership, PartitionBatch, PartitionOutcome, PauseNote, Run } from '../../src/model/batch.js'
import type { PartitionProgress, PartitionRecord, PartitionReport, PartitionStart } from '../../src/model/commands.js'
import { type Condition, type ConditionEvent, conditionAfter, isWorkable } from '../../src/model/condition.js'
import type { Revision } from '../../src/model/revision.js'
import { now } from '../clock.js'

/** How many batches a partition is worked apart once its handler was too slow for its neighbours. */
const slowFor = 4

/**
 * What a slice knows of one of its partitions. Two facts are independent: whether people have paused it, and its condition
 * (src/model/condition.ts). Its position, epoch and batch number belong to it alone.
 */
export class Partition {
  readonly index: number
  /** How often the position was moved. An activity that started before the last move reports on an outdated position. */
  reopened = 0
  /** How often a person has resumed it. A pause that was read before the last time is over. */
  resumed = 0
  readonly #added: boolean
  /** The greatest epoch that was taken for it. */
  #epoch: number
  #paused: PauseNote | null
  #condition: Condition
  #reason: string
  #since: string
  #progress: PartitionProgress | undefined
  /** False: the next step is to open it. */
  #owned: boolean
  #resting: boolean
  /** A person has asked for what is set aside: the batch that ends next may not have heard of it. */
  #stirred = false
  /** Messages are known to be at this position: to rest there would be wrong. Until the next batch begins. */
  #waited: string | null = null
  #follows: boolean
  #apartFor: number
  #run: Run | undefined
  #uncommitted: boolean
  #dueAt: string | undefined

  constructor(record: PartitionRecord) {
    this.index = record.partition
    this.#added = record.added ?? false
    this.#paused = record.paused
    this.#condition = record.condition
    this.#reason = record.reason
    this.#since = record.since
    this.#progress = record.progress
    this.#epoch = record.progress?.epoch ?? 0
    this.#owned = record.owned
    this.#resting = record.resting ?? false
    this.#follows = record.follows ?? false
    this.#apartFor = record.apartFor ?? 0
    this.#run = record.run
    this.#uncommitted = record.uncommitted ?? false
    this.#dueAt = record.dueAt
  }

  static begin({ partition, added, paused }: PartitionStart): Partition {
    return new Partition({
      partition,
      condition: 'healthy',
      reason: '',
      since: now(),
      paused: paused ?? null,
      owned: false,
      ...(added ? { added } : {}),
    })
  }

  get paused(): PauseNote | null {
    return this.#paused
  }

  get condition(): Condition {
    return this.#condition
  }

  get reason(): string {
    return this.#reason
  }

  get owned(): boolean {
    return this.#owned
  }

  /** It waits for messages, and nothing else keeps a batch from taking it. */
  get resting(): boolean {
    return this.#resting && this.#workable
  }

  /** When it is to be woken, because a message that was set aside comes back, ms since 1970; null: it is not. */
  get alarm(): number | null {
    return this.resting && this.#dueAt !== undefined ? Date.parse(this.#dueAt) : null
  }

  /** A batch can take it now. */
  get ready(): boolean {
    return this.#workable && !this.#resting
  }

  /** Why it is to be worked apart from its neighbours, if it is. */
  get apart(): 'failed' | 'slow' | null {
    if (this.#condition === 'retrying') return 'failed'
    return this.#apartFor > 0 ? 'slow' : null
  }

  get progress(): PartitionProgress | undefined {
    return this.#progress
  }

  /** Handled further than the store knows, and the batch has left the commit to the workflow. */
  get uncommitted(): boolean {
    return this.#owned && this.#uncommitted
  }

  get #workable(): boolean {
    return this.#paused === null && isWorkable(this.#condition)
  }

  pause(note: PauseNote): void {
    // The first pause stays: another person's reason is not overwritten.
    this.#paused ??= note
  }

  /** Ends a pause, and retries what was blocked or fenced. */
  resume(): void {
    this.resumed++
    this.#paused = null
    this.#apartFor = 0
    this.change('resumed', '')
  }

  /**
   * Messages have come.
   *
   * @param position of them, for one that a batch has still: its result may be on the way, and say that the partition rests there
   */
  wake(position: string | null = null): void {
    this.#resting = false
    if (position !== null) this.#waited = position
  }

  /** The next batch looks for what a person has asked of messages that were set aside. */
  stir(): void {
    this.#resting = false
    this.#stirred = true
  }

  change(event: ConditionEvent, reason: string): void {
    const condition = conditionAfter(this.#condition, event)
    if (condition === this.#condition && (condition === 'healthy' || reason === this.#reason)) return
    if (condition !== this.#condition) this.#since = now()
    this.#condition = condition
    this.#reason = condition === 'healthy' ? '' : reason
    if (condition === 'healthy') this.#resting = false
  }

  /** The stored position has changed: the partition is opened there, with a new epoch. Pauses stay. */
  reopen(): void {
    this.reopened++
    this.#owned = false
    this.#resting = false
    this.change('reopened', '')
  }

  /** A worker has started. New settings apply from the next batch on; what was blocked tries again. */
  configure(revision: Revision, changed: boolean): void {
    // The run has another end, or none: it starts over at the partition's position.
    if (revision.until !== this.#run?.until && this.#progress && this.#owned) this.reopen()
    this.change(changed ? 'configured' : 'started', '')
  }

  opening({ until }: Revision): OpenRequest {
    return {
      partition: this.index,
      above: this.#epoch,
      ...(this.#added ? { added: true } : {}),
      ...(this.#progress ? { remembered: this.#progress.position } : {}),
      ...(until === 'head' ? { head: true } : {}),
    }
  }

  own({ until }: Revision, ownership: Ownership): void {
    const { epoch, replay, identity, position, committed } = ownership
    const old = this.#progress
    this.taken(epoch)
    this.#owned = true
    this.#follows = false
    this.#uncommitted = false
    this.#run = runOf(until, ownership, this.#run)
    this.#progress = {
      epoch,
      replay,
      identity,
      batch: old?.batch ?? 0,
      position,
      committed,
      head: old?.head ?? position,
      messages: old?.messages ?? 0,
    }
  }

  /** The store has assigned an epoch. */
  taken(epoch: number): void {
    this.#epoch = Math.max(this.#epoch, epoch)
  }

  /** Opens the next batch. Its number makes its fencing token greater than every earlier batch's. */
  nextBatch(): PartitionBatch {
    const { position, epoch, replay, identity, batch } = this.#progress!
    this.#progress = { ...this.#progress!, batch: batch + 1 }
    const follows = this.#follows
    this.#follows = false
    this.#waited = null
    this.#stirred = false
    return {
      partition: this.index,
      from: position,
      epoch,
      batch: batch + 1,
      replay,
      identity,
      ...(this.#run ? { run: this.#run, follows } : {}),
    }
  }

  /** Records how far a batch came. `change` enters the end of a bounded run, once its offset is committed. */
  worked(outcome: PartitionOutcome, apart: boolean): void {
    // A reset came while the batch let go: the outcome is about an older replay.
    if (!this.#owned) return
    const { to, head, messages, committed } = outcome
    this.#progress = {
      ...this.#progress!,
      position: to,
      head,
      messages: this.#progress!.messages + messages,
      ...(committed === undefined ? {} : { committed }),
    }
    // A batch that says what it has committed has left nothing to commit, even if it read further.
    this.#uncommitted = committed === undefined && to !== this.#progress.committed
    this.#follows = outcome.end !== 'finished'
    this.#dueAt = outcome.dueAt
    this.#resting = outcome.end === 'rest' && to !== this.#waited && !this.#stirred
    if (outcome.end === 'failed') this.change('troubled', outcome.reason)
    else if (outcome.end === 'slow') this.#apartFor = slowFor
    else if (outcome.end === 'blocked') this.change('blocked', outcome.reason)
    else if (outcome.end === 'fenced') this.fence(outcome.reason)
    else if (outcome.end === 'reopen') this.reopen()
    else if (apart && outcome.end !== 'released') {
      this.#apartFor = Math.max(0, this.#apartFor - 1)
      this.change('recovered', '')
    }
  }

  committed({ epoch }: { readonly epoch: number }, position: string): void {
    // The partition may have been reopened meanwhile.
    if (!this.#owned || this.#progress?.epoch !== epoch) return
    this.#progress = { ...this.#progress, committed: position }
    // Unless another batch has come further by now.
    if (this.#progress.position === position) this.#uncommitted = false
  }

  /** Another owner has the partition. Taking it back needs a new epoch, and a person who asks for it. */
  fence(reason: string): void {
    this.#owned = false
    this.change('fenced', reason)
  }

  report(): PartitionReport {
    return { partition: this.index, condition: this.#condition, reason: this.#reason, since: this.#since }
  }

  record(): PartitionRecord {
    return {
      ...this.report(),
      paused: this.#paused,
      owned: this.#owned,
      ...(this.#added ? { added: true } : {}),
      ...(this.#progress ? { progress: this.#progress } : {}),
      ...(this.#resting ? { resting: true } : {}),
      ...(this.#follows ? { follows: true } : {}),
      ...(this.#apartFor > 0 ? { apartFor: this.#apartFor } : {}),
      ...(this.#run ? { run: this.#run } : {}),
      ...(this.#uncommitted ? { uncommitted: true } : {}),
      ...(this.#dueAt === undefined ? {} : { dueAt: this.#dueAt }),
    }
  }
}

/** The run that a new ownership belongs to: the current one, unless its end has changed or a person has moved the position. */
function runOf(
  until: Run['until'] | undefined,
  { position, replay, head }: Ownership,
  old: Run | undefined,
): Run | undefined {
  if (until === undefined) return undefined
  if (old?.until === until && old.replay === replay) return old
  return { until, began: position, replay, ...(head === undefined ? {} : { end: head }) }
}
