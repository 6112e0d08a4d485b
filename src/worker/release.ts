import type { Worker } from '@temporalio/worker'

/** Lets go of workers that have never run: the SDK releases the connection only at the end of a run. */
export async function releaseSdkWorkers(workers: readonly Worker[]): Promise<void> {
  await Promise.allSettled(workers.map((worker) => worker.runUntil(Promise.resolve())))
}
