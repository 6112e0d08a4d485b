import { AsyncLocalStorage } from 'node:async_hooks'
import { type Client, WorkflowNotFoundError } from '@temporalio/client'
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

it('asks from outside the activity, since the SDK ends the requests of an activity that is cancelled', async () => {
  // As the SDK does it: a request knows its activity by the asynchronous context that it is made in.
  const activity = new AsyncLocalStorage<string>()
  const askedFrom: (string | undefined)[] = []
  const describe = async () => {
    askedFrom.push(activity.getStore())
    throw new WorkflowNotFoundError('not found', 'tidemark/billing/orders/0', undefined)
  }
  const withDeadline = (_: number, ask: () => Promise<unknown>) => ask()
  const client = { workflow: { getHandle: () => ({ describe }) }, withDeadline }
  const cluster = new TemporalCluster(client as unknown as Client)
  await activity.run('a cancelled activity', () => cluster.look('tidemark/billing/orders/0'))
  expect(askedFrom).toEqual([undefined])
})

it('counts the workers that have asked for tasks as lately as the last one, whatever time it is here', async () => {
  const asked = (identity: string, seconds: number) => ({ identity, lastAccessTime: { seconds } })
  const pollers = [asked('gone', 1_000), asked('one', 1_100), asked('other', 1_160)]
  const client = {
    options: { namespace: 'default' },
    workflowService: { describeTaskQueue: async () => ({ pollers }) },
    withDeadline: (_: number, ask: () => Promise<unknown>) => ask(),
  }
  expect([...(await new TemporalCluster(client as unknown as Client).pollers('a queue'))]).toEqual(['one', 'other'])
})
