import { Worker } from '@temporalio/worker'

/*
 * Workers of tests run their workflows in the test's thread. A thread of their own costs each of them as much CPU as a whole small test, and
 * loads what this one has already. Those that are processes (of `tidemark start`, of chaos, of the bench) have one, as users do.
 */
const create = Worker.create
let here = true
Worker.create = function (this: typeof Worker, options) {
  return create.call(this, { debugMode: here, ...options })
}

/** For a test file that is about what the threads make a difference to. */
export function workflowsInThreads(): void {
  here = false
}
