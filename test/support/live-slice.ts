import { Context } from '@temporalio/activity'
import type { WorkflowHandle } from '@temporalio/client'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import type { BatchInput, BatchResult, PartitionOutcome } from '../../src/model/batch.js'
import {
  names,
  type PartitionStatus,
  type SliceInput,
  type SliceMemo,
  type SliceStatus,
  workflowTypes,
} from '../../src/model/commands.js'
import { sliceWorkflowId } from '../../src/model/partition.js'
import type { Revision } from '../../src/model/revision.js'
import { waitFor } from './wait-for.js'
import { type Activities, answer, handled, sliceInput, withWorker, worked } from './workflow-env.js'

/** A batch in the hands of the test's worker, until the test says what becomes of it. */
export class TakenBatch {
  readonly #result: Promise<BatchResult>
  readonly #context = Context.current()
  #resolve!: (result: BatchResult) => void
  #reject!: (error: Error) => void

  constructor(readonly input: BatchInput) {
    this.#result = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  get id(): string {
    return this.#context.info.activityId
  }

  /** The slice has asked for the end of the whole batch. */
  get cancelled(): boolean {
    return this.#context.cancellationSignal.aborted
  }

  /** Names of what it works: `0, 1`. */
  get partitions(): string {
    return this.input.partitions.map(({ partition }) => partition).join(', ')
  }

  /** An outcome of one partition that handled `count` messages. */
  outcome(partition: number, count: number, change: Partial<PartitionOutcome> = {}): PartitionOutcome {
    return worked(this.input.partitions.find((one) => one.partition === partition)!, count, change)
  }

  /** Ends the batch: each partition has handled `count` messages. */
  answer(count: number, change: Partial<PartitionOutcome> = {}): void {
    this.#resolve(handled(this.input, count, change))
  }

  /** Ends the batch with these outcomes. */
  answerWith(...partitions: PartitionOutcome[]): void {
    this.#resolve({ partitions })
  }

  fail(error: Error): void {
    this.#reject(error)
  }

  /** Heartbeats until the test has decided. */
  async work(): Promise<BatchResult> {
    const beat = setInterval(() => this.#context.heartbeat(), 50)
    return this.#result.finally(() => clearInterval(beat))
  }
}

/** A worker that takes every batch and waits for the test to decide. */
class Desk {
  readonly taken: TakenBatch[] = []
  #given = 0
  #over = false

  readonly process = (input: BatchInput): Promise<BatchResult> => {
    if (this.#over) throw new Error('the test is over')
    const batch = new TakenBatch(input)
    this.taken.push(batch)
    return batch.work()
  }

  /** The next batch that was taken, in the order of their coming. */
  next(what = 'a batch'): Promise<TakenBatch> {
    return waitFor(() => this.taken.length > this.#given && this.taken[this.#given++], { what })
  }

  end(): void {
    this.#over = true
    for (const batch of this.taken) batch.fail(new Error('the test is over'))
  }
}

/** A slice that runs on the time-skipping server. */
export interface LiveSlice {
  readonly handle: WorkflowHandle
  readonly queue: string
  readonly revision: Revision
  /** The next batch that the slice hands out. Only without a `process` of the test's own. */
  batch(what?: string): Promise<TakenBatch>
  /** Every batch that was handed out so far. */
  readonly taken: readonly TakenBatch[]
  status(): Promise<SliceStatus>
  partition(index: number): Promise<PartitionStatus>
  /** Waits until a partition looks like this. */
  until(index: number, what: string, looks: (partition: PartitionStatus) => boolean): Promise<PartitionStatus>
  untilCommitted(index: number, position: string): Promise<PartitionStatus>
  memo(): Promise<SliceMemo>
}

export interface GivenSlice {
  readonly partitions?: readonly number[]
  readonly activities?: Partial<Activities>
  readonly change?: (queue: string) => Partial<SliceInput>
}

/** Runs a slice for as long as `test` does. */
export async function withSlice(
  env: TestWorkflowEnvironment,
  { partitions, activities, change }: GivenSlice,
  test: (slice: LiveSlice) => Promise<void>,
): Promise<void> {
  const desk = new Desk()
  await withWorker(env, { process: desk.process, ...activities }, async (queue) => {
    const input = sliceInput(queue, partitions, change?.(queue))
    const handle: WorkflowHandle = await env.client.workflow.start(workflowTypes.slice, {
      workflowId: sliceWorkflowId(input.name, input.slice),
      taskQueue: queue,
      args: [input],
    })
    const status = () => answer(env, () => handle.query<SliceStatus>(names.status))
    const partition = async (index: number) => (await status()).partitions.find((one) => one.partition === index)!
    const until = (index: number, what: string, looks: (partition: PartitionStatus) => boolean) =>
      waitFor(async () => partition(index).then((one) => looks(one) && one), { what })
    try {
      await test({
        handle,
        queue,
        revision: input.revision,
        batch: (what) => desk.next(what),
        taken: desk.taken,
        status,
        partition,
        until,
        untilCommitted: (index, position) =>
          until(index, `the commit of ${index} to ${position}`, ({ progress }) => progress?.committed === position),
        memo: async () => (await handle.describe()).memo ?? {},
      })
    } finally {
      await handle.terminate().catch(() => {})
      desk.end()
    }
  })
}
