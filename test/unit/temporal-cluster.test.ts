import type { Client } from '@temporalio/client'
import { expect, it, vi } from 'vitest'
import { TemporalCluster } from '../../src/temporal/cluster.js'

it('gives Temporal five seconds to answer, also where its client would wait longer', async () => {
  vi.useFakeTimers()
  try {
    const never = { getHandle: () => ({ describe: () => new Promise(() => {}) }) }
    const client = { workflow: never, withDeadline: (_: number, ask: () => Promise<unknown>) => ask() }
    const looked = new TemporalCluster(client as unknown as Client).look('tidemark/billing/orders/0')
    looked.catch(() => {})
    await vi.advanceTimersByTimeAsync(5_000)
    await expect(looked).rejects.toThrow('Temporal has not answered for 5000 ms')
  } finally {
    vi.useRealTimers()
  }
})
