import { CancellationScope, condition } from '@temporalio/workflow'
import type { CommitOutcome } from '../../src/model/batch.js'
import { control } from '../activities.js'
import { namesOf } from '../summaries.js'
import { failureOf } from './failures.js'
import type { Partition } from './partition.js'
import type { SliceState } from './slice-state.js'

/**
 * Commits offsets beside the batches: one activity at a time, for all partitions that have been handled further than the store knows.
 * A command never ends a commit, since the work is done.
 */
export class Commits {
  #running = false
  /** What the store refused, by partition. It is not offered again while the partition is blocked because of it. */
  readonly #refused = new Map<number, string>()

  constructor(private readonly state: SliceState) {}

  get idle(): boolean {
    return !this.#running
  }

  /** Starts committing what is uncommitted, and returns at once. */
  begin(): void {
    if (this.#running || this.#due().length === 0) return
    this.#running = true
    CancellationScope.nonCancellable(() => this.#work())
      .finally(() => {
        this.#running = false
      })
      .catch(() => {})
  }

  /** Waits until everything that is handled is committed. */
  async settle(): Promise<void> {
    await CancellationScope.nonCancellable(async () => {
      do {
        this.begin()
        await condition(() => !this.#running)
      } while (this.#due().length > 0)
    })
  }

  async #work(): Promise<void> {
    for (let due = this.#due(); due.length > 0; due = this.#due()) {
      const requests = due.map(({ index, progress }) => {
        const { epoch, replay, position } = progress!
        return { partition: index, epoch, replay, position }
      })
      const { name } = this.state.input
      const outcomes = await control(this.state.revision, summaryOf(name.stream, due))
        .commit({ name, partitions: requests })
        // The activity itself retries forever, so a person has ended it in the Temporal UI.
        .catch((error) => requests.map(({ partition }) => refusal(partition, failureOf(error).reason)))
      for (const [index, outcome] of outcomes.entries()) {
        const request = requests[index]!
        const partition = this.state.partitions.get(outcome.partition)!
        if (outcome.outcome === 'committed') partition.committed(request, request.position)
        // Reopened meanwhile: the answer is about an older ownership.
        else if (!partition.owned || partition.progress?.epoch !== request.epoch) continue
        else if (outcome.outcome === 'reopen') partition.reopen()
        else if (outcome.outcome === 'fenced') partition.fence(outcome.reason)
        else {
          this.#refused.set(partition.index, nameOf(partition))
          partition.change('blocked', outcome.reason)
        }
      }
    }
  }

  #due(): Partition[] {
    return [...this.state.partitions.values()].filter((one) => one.uncommitted && !this.#isRefused(one))
  }

  #isRefused(partition: Partition): boolean {
    return partition.condition === 'blocked' && this.#refused.get(partition.index) === nameOf(partition)
  }
}

function refusal(partition: number, reason: string): CommitOutcome {
  return { partition, outcome: 'blocked', reason: `its offset could not be committed: ${reason}` }
}

function nameOf({ index, progress }: Partition): string {
  return `${index}/${progress?.epoch}/${progress?.position}`
}

function summaryOf(stream: string, partitions: readonly Partition[]): string {
  const [first, ...others] = partitions
  const names = namesOf(stream, partitions)
  return others.length === 0 ? `offset of ${names}: ${first!.progress!.position}` : `offsets of ${names}`
}
