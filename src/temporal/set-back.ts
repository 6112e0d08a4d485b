import type { WorkflowExecutionDescription } from '@temporalio/client'

/*
 * Temporal restored to an older state, under workers that go on. A worker that still has a workflow in its memory, further than Temporal
 * now is, answers as if nothing had happened: it takes no notice of new events, or makes a history that nobody can replay. So every run
 * from before the restore has to end, and the workflow to begin anew: positions and pauses are in the store.
 */

/** What of a run tells that time goes on: its history only grows, and its workflow's runs only follow one another. */
export type SeenRun = Pick<WorkflowExecutionDescription, 'workflowId' | 'runId' | 'historyLength' | 'startTime'>

/** Notices that Temporal was set back, by looks at workflows. One for a worker: each workflow tells of all of them. */
export class SetBack {
  readonly #seen = new Map<string, SeenRun>()
  readonly #outdated = new Set<string>()

  /**
   * Looks at a workflow, and says whether its run is from before a restore. Answers may overtake one another, so each is compared with what
   * was there before its question.
   */
  async look<T extends SeenRun>(
    workflowId: string,
    look: () => Promise<T>,
  ): Promise<T & { readonly outdated: boolean }> {
    const before = this.#seen.get(workflowId)
    const run = await look()
    const last = this.#seen.get(workflowId)
    const isBack = before !== undefined && isEarlier(run, before)
    if (isBack || last === undefined || !isEarlier(run, last)) this.#seen.set(workflowId, run)
    if (isBack) {
      // Workflows that have not been looked at since may have gone back as well.
      if (!this.#outdated.has(run.runId)) for (const { runId } of this.#seen.values()) this.#outdated.add(runId)
      this.#outdated.add(run.runId)
    }
    return Object.assign(run, { outdated: this.#outdated.has(run.runId) })
  }
}

function isEarlier(run: SeenRun, other: SeenRun): boolean {
  return run.runId === other.runId ? run.historyLength < other.historyLength : run.startTime < other.startTime
}
