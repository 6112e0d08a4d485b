import {
  CancellationScope,
  defineQuery,
  defineSignal,
  getExternalWorkflowHandle,
  patched,
  setCurrentDetails,
  setHandler,
} from '@temporalio/workflow'
import type { BatchInput, BatchResult, OpenInput, Ownership, Plan, Run } from '../src/model/batch.js'
import {
  type Mode,
  type ModeState,
  names,
  type PartitionInput,
  type PartitionProgress,
  type PartitionReport,
  type PartitionStatus,
  type PauseCommand,
} from '../src/model/commands.js'
import { groupWorkflowId, type PartitionKey } from '../src/model/partition.js'
import type { Revision } from '../src/model/revision.js'
import { unknownRhythm } from '../src/model/rhythm.js'
import { now, showMode } from './visibility.js'

export const configureSignal = defineSignal<[Revision]>(names.configure)
export const pauseSignal = defineSignal<[PauseCommand]>(names.pause)
export const resumeSignal = defineSignal(names.resume)
export const reopenSignal = defineSignal(names.reopen)
export const finishSignal = defineSignal(names.finish)
export const reportSignal = defineSignal<[PartitionReport]>(names.report)
const statusQuery = defineQuery<PartitionStatus>(names.status)

/**
 * What a partition knows and what people may tell it. Every command changes this state only; the loop in partition.ts and
 * the steps react to it. `interrupt` is how a command reaches a step that is under way.
 */
export class PartitionState {
  readonly key: PartitionKey
  readonly added: boolean
  revision: Revision
  /** How often the position was put elsewhere: what a step says that began before is of no interest any more. */
  reopened = 0
  /** Ends the step that is under way, gracefully. Set by the steps. */
  interrupt: () => void = () => {}
  #state: ModeState
  #progress: PartitionProgress | undefined
  /** False after somebody else has owned the partition or put its position elsewhere: the next step is to open it again. */
  #owned: boolean
  #run: Run | undefined
  /** What is known of the position comes from a batch that has said so, and not at the end of a run. */
  #follows = false
  #released = false
  readonly #searchAttributes: boolean

  constructor(input: PartitionInput) {
    this.key = input.key
    this.added = input.added ?? false
    this.revision = input.revision
    this.#state = input.state
    this.#progress = input.progress
    this.#owned = input.progress !== undefined
    this.#run = input.run
    this.#searchAttributes = input.searchAttributes

    setHandler(configureSignal, (revision) => this.#configure(revision))
    setHandler(pauseSignal, ({ reason }) => this.#enter('paused', reason))
    setHandler(resumeSignal, () => this.#enter('running', ''))
    setHandler(reopenSignal, () => this.reopen())
    setHandler(finishSignal, () => this.#release())
    setHandler(statusQuery, () => this.status())
    this.#show()
  }

  get running(): boolean {
    return this.#state.mode === 'running'
  }

  /** The group is at the end of a bounded run: there is nothing more to do. */
  get released(): boolean {
    return this.#released
  }

  get owned(): boolean {
    return this.#owned
  }

  /** Whether there may be messages at the position, so that a batch is worth starting without a poll. */
  get more(): boolean {
    return this.#progress?.more ?? false
  }

  get progress(): PartitionProgress {
    if (!this.#progress) throw new Error('the partition has no owner yet')
    return this.#progress
  }

  /** The last epoch this chain has held, 0 before the first. */
  get epoch(): number {
    return this.#progress?.epoch ?? 0
  }

  /** What to ask for to own the partition. */
  get opening(): OpenInput {
    const { key, epoch, added, revision } = this
    return { key, above: epoch, ...(added ? { added } : {}), ...(revision.until === 'head' ? { head: true } : {}) }
  }

  own(ownership: Ownership): void {
    this.#owned = true
    this.#run = runOf(this.revision.until, ownership, this.#run)
    this.#follows = false
    this.#progress = {
      epoch: ownership.epoch,
      replay: ownership.replay,
      identity: ownership.identity ?? null,
      batch: this.#progress?.batch ?? 0,
      position: ownership.position,
      committed: ownership.committed ?? ownership.position,
      head: this.#progress?.head ?? ownership.position,
      // Whoever starts or comes back usually has something to catch up with: the first batch looks for itself.
      more: true,
      messages: this.#progress?.messages ?? 0,
      rhythm: this.#progress?.rhythm ?? unknownRhythm,
    }
    this.#show()
  }

  polled(plan: Plan): void {
    this.#update({ more: plan.found })
    if (plan.reopen) this.reopen()
  }

  /** Opens the next batch. Its number makes its fencing token greater than every earlier batch's. */
  nextBatch(): BatchInput {
    this.#update({ batch: this.progress.batch + 1 })
    const { position, epoch, batch, replay, rhythm, identity = null } = this.progress
    const input = { key: this.key, from: position, epoch, batch, replay, rhythm, identity }
    const follows = this.#follows
    this.#follows = false
    return this.#run ? { ...input, run: this.#run, follows } : input
  }

  worked(result: BatchResult): void {
    // A reset came while the batch was let go: what it says is about an older replay.
    if (!this.#owned) return
    this.#follows = result.end !== 'finished'
    this.#update({
      position: result.to,
      head: result.head,
      more: result.end !== 'idle',
      messages: this.progress.messages + result.messages,
      rhythm: result.rhythm,
      ...(result.committed === undefined ? {} : { committed: result.committed }),
    })
    if (result.reopen) this.reopen()
    else if (result.blocked !== undefined) this.block(result.blocked)
  }

  committed(position: string): void {
    this.#update({ committed: position })
  }

  /** Waits for the group's other partitions, unless a person has put the position elsewhere meanwhile. */
  finish(): void {
    if (this.#owned && this.running) this.#enter('finished', `read to ${this.progress.position}, where the run ends`)
  }

  /** Stops in front of something that a retry can't mend. */
  block(reason: string): void {
    this.#enter('blocked', reason)
  }

  /**
   * The store has another position, put there by a person: takes it from there, with a new epoch. Whoever was stopped by what
   * stood at the old position goes on; who was paused stays so.
   */
  reopen(): void {
    this.reopened++
    this.#owned = false
    this.interrupt()
    if (['blocked', 'fenced', 'finished'].includes(this.#state.mode)) this.#enter('running', '')
  }

  /** Stops because somebody else owns the partition now. Taking it back needs a new epoch, and a person who wants it. */
  fence(reason: string): void {
    this.#owned = false
    this.#enter('fenced', reason)
  }

  status(): PartitionStatus {
    const { partition } = this.key
    return { partition, version: this.revision.version, progress: this.#progress ?? null, ...this.#state }
  }

  snapshot(): PartitionInput {
    return {
      key: this.key,
      revision: this.revision,
      state: this.#state,
      searchAttributes: this.#searchAttributes,
      ...(this.added ? { added: true } : {}),
      ...(this.#progress && this.#owned ? { progress: this.#progress } : {}),
      ...(this.#run ? { run: this.#run } : {}),
    }
  }

  /** A worker has started. New settings apply from the next batch on, and whoever was blocked tries again. */
  #configure(revision: Revision): void {
    const changed = revision.version !== this.revision.version
    this.revision = revision
    // Another end, or none any more: the run begins anew where the partition is.
    if (revision.until !== this.#run?.until && this.#progress) this.reopen()
    // The new version looks for itself whether this is the end.
    else if (this.#state.mode === 'finished' && changed) this.#enter('running', '')
    else if (this.#state.mode === 'blocked') this.#enter('running', '')
    // The batch under way may be in the hands of a worker that is gone for good, or may be retrying a handler that this
    // revision mends. Its own worker finishes the chunk in hand before it lets go.
    else if (changed) this.interrupt()
  }

  #release(): void {
    this.#released = true
    this.interrupt()
  }

  #enter(mode: Mode, reason: string): void {
    // A pause survives being told about twice; a fenced or blocked partition can be paused, and resumes from there.
    if (mode === this.#state.mode && reason === this.#state.reason) return
    this.#state = { mode, reason, since: now() }
    if (mode !== 'running') this.interrupt()
    this.#show()
    if (this.#searchAttributes) showMode(mode)
    const report: PartitionReport = { partition: this.key.partition, ...this.#state }
    const group = getExternalWorkflowHandle(groupWorkflowId(this.key.group, this.key.stream))
    const tell = () => group.signal(reportSignal, report)
    // The turn that has just been ended must not take the report along, as it once did. The group keeps a list of reports; a
    // partition goes on without one.
    const told = patched('report-outlives-its-turn') ? CancellationScope.nonCancellable(tell) : tell()
    told.catch(() => {})
  }

  #update(change: Partial<PartitionProgress>): void {
    this.#progress = { ...this.progress, ...change }
    this.#show()
  }

  /** The page that the Temporal UI shows for this workflow. Costs no history events. */
  #show(): void {
    const { mode, reason, since } = this.#state
    const lines = [`**${mode}**${reason ? `: ${reason}` : ''} (since ${since})`]
    if (this.#progress) {
      const { position, committed, head, batch, epoch, messages } = this.#progress
      lines.push(
        `position ${position}, committed ${committed}, head ${head}`,
        `batch ${batch} of epoch ${epoch}, ${messages} messages in all, config ${this.revision.version}`,
      )
    }
    setCurrentDetails(lines.join('\n\n'))
  }
}

/** The run that a new ownership belongs to: the one there was, unless it ends elsewhere or a person has put the position elsewhere. */
function runOf(
  until: Run['until'] | undefined,
  { position, replay, head }: Ownership,
  old: Run | undefined,
): Run | undefined {
  if (until === undefined) return undefined
  if (old?.until === until && old.replay === replay) return old
  return { until, began: position, replay, ...(head === undefined ? {} : { end: head }) }
}
