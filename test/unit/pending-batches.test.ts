import { defaultPayloadConverter, type WorkflowExecutionDescription } from '@temporalio/client'
import { defaultDataConverter } from '@temporalio/common'
import { describe, expect, it } from 'vitest'
import { held, letGo } from '../../src/model/commands.js'
import { batchesAmong, longChunksOf, mayBeInHand, troubleOf } from '../../src/temporal/pending.js'

type Activity = Parameters<typeof troubleOf>[0]

const failedWith = (type: string, attempt = 2): Activity => ({
  attempt,
  lastFailure: { message: 'no such account', applicationFailureInfo: { type } },
})

it('takes only batches for batches', async () => {
  const raw = { pendingActivities: [{ activityType: { name: 'open' } }, { activityType: { name: 'process' } }] }
  const described = { raw } as unknown as WorkflowExecutionDescription
  expect(await batchesAmong(described, defaultDataConverter)).toEqual([raw.pendingActivities[1]])
})

describe('a batch', () => {
  it('that has failed is retried', () => {
    expect(troubleOf(failedWith('HANDLER_FAILED'))).toEqual({ state: 'retrying', reason: 'no such account' })
  })

  it('on its first attempt has nothing wrong', () => {
    expect(troubleOf({ attempt: 1 })).toBeNull()
  })

  it('that its worker let go, or that a person took from it, is not retried', () => {
    expect([troubleOf(failedWith(letGo)), troubleOf(failedWith(held))]).toEqual([null, null])
  })

  it('whose worker died is not retried', () => {
    const timeoutFailureInfo = { timeoutType: 4 }
    expect(troubleOf({ attempt: 2, lastFailure: { message: 'activity timeout', timeoutFailureInfo } })).toBeNull()
  })

  it('that a person has paused in Temporal is held, though it failed before', () => {
    const pauseInfo = { manual: { identity: 'ada', reason: 'look into it' } }
    const activity = { ...failedWith('HANDLER_FAILED'), state: 4, pauseInfo }
    expect(troubleOf(activity)).toEqual({ state: 'held', reason: 'by ada in Temporal: look into it' })
  })

  it('is held by a person where Temporal does not say whom', () => {
    expect(troubleOf({ state: 4 })).toEqual({ state: 'held', reason: 'by a person in Temporal' })
  })

  it('that a worker still has when a person pauses it is not held yet', () => {
    expect(troubleOf({ state: 5, attempt: 1 })).toBeNull()
  })
})

describe('a chunk of a batch', () => {
  const [scheduled, started, paused] = [1, 2, 4]
  const timedOut = { lastFailure: { message: 'activity timeout', timeoutFailureInfo: { timeoutType: 4 } } }

  it.each([scheduled, paused])(
    'is in no hands between two tries, the first of which has failed (state %i)',
    (state) => {
      expect(mayBeInHand({ ...failedWith('HANDLER_FAILED'), state })).toBe(false)
    },
  )

  it.each([scheduled, paused])(
    'may be in the hands of a worker that is cut off after a timeout (state %i)',
    (state) => {
      expect(mayBeInHand({ ...timedOut, attempt: 2, state })).toBe(true)
    },
  )

  it('may be in hand while a worker has the batch', () => {
    expect(mayBeInHand({ ...failedWith('HANDLER_FAILED'), state: started })).toBe(true)
  })

  it('may soon be in hand before the first try, which begins without a look at pauses', () => {
    expect(mayBeInHand({ attempt: 1, state: scheduled })).toBe(true)
    // A person has reset the activity.
    expect(mayBeInHand({ ...failedWith(held, 1), state: scheduled })).toBe(true)
  })
})

describe('a chunk that takes long', () => {
  const since = '2026-01-02T03:04:05.000Z'
  const details = { messages: 1, positions: { 3: '7' }, inChunkSince: { 3: since } }
  const heartbeatDetails = { payloads: [defaultPayloadConverter.toPayload(details)] }

  it('is known by the heartbeats of its batch', () => {
    expect(longChunksOf({ state: 2, heartbeatDetails })).toEqual(new Map([[3, since]]))
    expect(longChunksOf({ state: 2 })).toEqual(new Map())
    // A heartbeat without details, and one that only its owner's codec can read.
    const nothing = { payloads: [defaultPayloadConverter.toPayload(undefined)!] }
    const secret = { payloads: [{ metadata: { encoding: Buffer.from('binary/encrypted') }, data: Buffer.from('x') }] }
    for (const heartbeatDetails of [nothing, secret])
      expect(longChunksOf({ state: 2, heartbeatDetails })).toEqual(new Map())
  })

  it("is in nobody's hand between two tries", () => {
    expect([
      longChunksOf({ state: 1, heartbeatDetails }).size,
      longChunksOf({ state: 4, heartbeatDetails }).size,
    ]).toEqual([0, 0])
  })
})
