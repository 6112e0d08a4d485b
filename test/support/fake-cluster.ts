import type { Cluster, WorkflowLook } from '../../activities/runtime.js'
import type { BatchTrouble } from '../../src/model/batch.js'
import type { SliceMemo } from '../../src/model/commands.js'

type Rest = NonNullable<SliceMemo['rest']>

/** A workflow of the own build, with nothing pending. */
export const running: WorkflowLook = {
  status: 'running',
  taskQueue: 'workflows',
  memo: {},
  failing: false,
  cancelled: new Set(),
  lost: new Set(),
  batches: new Map(),
}

/** Temporal, as far as activities ask it something: tests say what it shows of each workflow. */
export class FakeCluster implements Cluster {
  readonly workflows = new Map<string, WorkflowLook>()
  /** `workflow ID: signal`, in their order. */
  readonly signals: string[] = []
  /** What the signals said, in the same order. */
  readonly said: unknown[][] = []
  readonly looks: string[] = []
  /** Workflows of another build that have no worker. */
  readonly stranded = new Set<string>()
  /** Temporal does not answer. */
  away = false

  /** The workflow has a batch under way. */
  working(id: string, memo: SliceMemo = {}, taskQueue = 'workflows'): void {
    const batches = new Map([['shared/3/1/1', null]])
    this.workflows.set(id, { ...running, taskQueue, memo, batches })
  }

  /** The workflow has these batches under way. */
  troubled(id: string, batches: Readonly<Record<string, BatchTrouble | null>>): void {
    this.workflows.set(id, { ...running, batches: new Map(Object.entries(batches)) })
  }

  /** The workflow came to rest for the n-th time, with partitions at these positions. */
  resting(id: string, count: number, partitions: Rest['partitions']): void {
    this.workflows.set(id, { ...running, memo: { rest: { count, partitions } } })
  }

  ended(id: string, status: Exclude<WorkflowLook['status'], 'running'>): void {
    this.workflows.set(id, { ...running, status })
  }

  async look(id: string): Promise<WorkflowLook | null> {
    this.#answer()
    this.looks.push(id)
    return this.workflows.get(id) ?? null
  }

  async signal(id: string, signal: string, ...args: unknown[]): Promise<void> {
    this.#answer()
    this.said.push(args)
    this.signals.push(`${id}: ${signal}`)
  }

  async endStranded(id: string, queue: string): Promise<boolean> {
    this.#answer()
    if (!this.stranded.delete(id)) return false
    this.ended(id, 'ended')
    this.signals.push(`${id}: ended for ${queue}`)
    return true
  }

  #answer(): void {
    if (this.away) throw new Error('connection refused')
  }
}
