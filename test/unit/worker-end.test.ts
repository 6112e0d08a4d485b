import type { Worker } from '@temporalio/worker'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Listeners } from '../../src/worker/listeners.js'
import { TidemarkWorker } from '../../src/worker/worker.js'
import { silentLog } from '../support/silent-log.js'

const graceMs = 30_000

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A worker whose only SDK worker ends so long after it was told to. */
function workerThatTakes(ms: number): { worker: TidemarkWorker; stopped: AbortSignal } {
  let end = () => {}
  const sdk = {
    run: () => new Promise<void>((resolve) => (end = resolve)),
    getState: () => 'RUNNING',
    shutdown: () => void setTimeout(() => end(), ms),
  } as unknown as Worker
  const stopped = new AbortController()
  const worker = new TidemarkWorker({
    consumers: [],
    workers: [sdk],
    watchdog: { run: async () => {} } as never,
    watching: new AbortController(),
    end: async () => {},
    draining: new AbortController(),
    stopped,
    graceMs,
    listeners: new Listeners(silentLog()),
    log: silentLog(),
    monitoring: { metrics: null, url: null },
    stories: [],
  })
  return { worker, stopped: stopped.signal }
}

it('a worker that is still busy after its shutdownTimeout ends what is in hand', async () => {
  const { worker, stopped } = workerThatTakes(10 * graceMs)
  void worker.run()
  worker.shutdown()
  await vi.advanceTimersByTimeAsync(2 * graceMs)
  expect(stopped.aborted).toBe(true)
})

it('a worker that has ended is kept by no timer', async () => {
  const { worker, stopped } = workerThatTakes(1_000)
  const running = worker.run()
  worker.shutdown()
  await vi.advanceTimersByTimeAsync(2_000)
  await running
  expect(vi.getTimerCount()).toBe(0)
  expect(stopped.aborted).toBe(false)
})
