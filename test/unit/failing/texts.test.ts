import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { redacted } from '../../../activities/failing/new-letter.js'
import { Deduplicator } from '../../../activities/handling/dedupe.js'
import type { AfterLastTry } from '../../../src/model/policy.js'
import type { Message } from '../../../src/ports/index.js'
import { batchGround, deadLetterPolicy, failureSettings, name } from '../../support/batch-ground.js'
import { virtualTime } from '../../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass, until } = virtualTime

const key = { ...name, partition: 0 }
const letters: AfterLastTry = { ...deadLetterPolicy, keep: 'reference' }

/** Offset 1 fails with this error. */
async function ground(error: unknown, attempts: number, errors: 'message' | 'private' = 'message') {
  const all = await batchGround({
    handle: (messages) => {
      if (messages.some(({ offset }) => offset === 1n)) throw error
    },
    settings: { errors, failures: failureSettings({ isolate: true, attempts, afterLastTry: letters }) },
  })
  const work = async () => {
    const { batch, result } = all.begin(await all.own({ 0: 2 }))
    const over = result.catch(() => {})
    await pass(1_000)
    batch.end()
    await until(over)
  }
  return { ...all, work }
}

describe('what is written of a failure', () => {
  it('is redacted between two tries, too', async () => {
    const { work, runtime } = await ground(new Error('card 4711'), 3)
    Object.assign(runtime, { failing: { redact: (text: string) => text.replaceAll(/\d{4}/g, '****') } })
    await work()
    const trouble = await runtime.troubles.read(key)
    expect(trouble?.failing?.last).toContain('card ****')
    expect(JSON.stringify(trouble)).not.toContain('4711')
  })

  it("holds no code that may quote a message under errors: 'private'", async () => {
    const error = Object.assign(new RangeError('card 4711'), { code: 'card 4711' })
    const { work, runtime } = await ground(error, 1, 'private')
    await work()
    const [letter] = await runtime.letters.list(name, { limit: 1 })
    expect(letter).toMatchObject({ code: 'RangeError', error: expect.stringContaining('RangeError, error id') })
  })

  it('says that redact returned no text, and a promise that rejects does not end the worker', async () => {
    expect(redacted('card 4711', () => Promise.reject(new Error('no')) as never)).toBe('redact returned no text')
    await new Promise((resolve) => process.nextTick(resolve))
  })
})

describe('a message whose dedupe key is none', () => {
  it('has its tries, and is set aside', async () => {
    const { work, runtime, written } = await ground(null, 1)
    const inbox = { admit: async () => [], expire: async () => 0 }
    const rule = { key: ({ offset }: Message) => (offset === 1n ? undefined : 'k'), retentionMs: 1_000 }
    Object.assign(runtime, {
      dedupe: new Deduplicator(rule as never, { inbox } as never, runtime.log, runtime.draining),
      handler: {
        kind: 'transactional',
        handle: async (messages: readonly Message[], { tx }: { tx: { client: { write(it: unknown): void } } }) => {
          for (const { offset } of messages) tx.client.write(Number(offset))
        },
      },
    })
    await work()
    expect(written).toEqual([0])
    expect(await runtime.letters.list(name, { limit: 9 })).toMatchObject([{ offset: 1n, class: 'poison' }])
  })
})
