import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Slots } from '../../../activities/batch/slots.js'
import { DownstreamUnavailable } from '../../../src/model/handler-errors.js'
import type { AfterLastTry } from '../../../src/model/policy.js'
import type { Message } from '../../../src/ports/index.js'
import { batchGround, byPartition, deadLetterPolicy, failureSettings, name } from '../../support/batch-ground.js'
import { virtualTime } from '../../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)
const { pass, until } = virtualTime

const key = { ...name, partition: 0 }
const deadLetter: AfterLastTry = deadLetterPolicy

/** Workers that are lost at the messages in `killing`: each batch is one of a new process. */
async function ground(afterLastTry: AfterLastTry, killing: Set<number>) {
  const all = await batchGround({
    settings: { failures: failureSettings({ isolate: true, attempts: 5, crashes: 3, afterLastTry }) },
  })
  const { runtime, reach, begin } = all
  const handled: number[] = []
  let die = () => {}
  let lost = 0
  Object.assign(runtime.handler, {
    handle: async (messages: readonly Message[]) => {
      if (messages.some(({ offset }) => killing.has(Number(offset)))) {
        lost++
        die()
        await new Promise(() => {})
      }
      handled.push(...messages.map(({ offset }) => Number(offset)))
    },
  })
  const owned = await all.own({ 0: 3 })
  let attempt = 0
  /** Works until a batch ends with an outcome. */
  const work = async (most = 20) => {
    for (let tries = 1; tries <= most; tries++) {
      attempt++
      Object.assign(runtime, { quarantine: new Slots(1), slots: new Slots(100) })
      const { result, batch } = begin(owned, { attempt })
      const died = new Promise<'died'>((resolve) => {
        die = () => resolve('died')
      })
      const idle = pass(5_000).then(() => 'idle' as const)
      const settled = result.then(
        () => 'ended' as const,
        () => 'failed' as const,
      )
      const how = await Promise.race([settled, died, idle])
      await idle
      reach.lost = how === 'died'
      if (how === 'idle') batch.end()
      if (how === 'idle' || how === 'ended') return byPartition(await until(result))[0]!
    }
    return null
  }
  return { ...all, handled, work, lost: () => lost }
}

describe('a message that workers are lost at', () => {
  it('stops its partition by default, and is handled once the handler is mended and the partition resumed', async () => {
    const killing = new Set([1])
    const { work, handled } = await ground({ policy: 'block' }, killing)
    expect(await work()).toMatchObject({ end: 'blocked', to: '1' })
    killing.clear()
    await work()
    expect(handled).toEqual([0, 1, 2])
  })

  it('stops its partition again where it is not mended, after one more loss', async () => {
    const { work, lost } = await ground({ policy: 'block' }, new Set([1]))
    expect(await work()).toMatchObject({ end: 'blocked' })
    const before = lost()
    expect(await work()).toMatchObject({ end: 'blocked', to: '1' })
    expect(lost() - before).toBe(1)
  })

  it("is no affair of 'classify': nobody has seen an error", async () => {
    const { work, runtime, handled } = await ground(deadLetter, new Set([1]))
    Object.assign(runtime, { failing: { classify: () => new DownstreamUnavailable('backend') } })
    await work()
    expect(handled).toEqual([0, 2])
    expect(await runtime.letters.list(name, { limit: 9 })).toMatchObject([{ offset: 1n, class: 'crash' }])
  })

  it('is not one that the worker did not have in hand: what only goes behind others is not noted', async () => {
    const { own, begin, log, runtime } = await batchGround({
      settings: { failures: failureSettings({ isolate: true, attempts: 1, afterLastTry: deadLetter }) },
      handle: () => {
        throw new Error('bad')
      },
    })
    log.keyOf = () => 'a'
    const writes = vi.spyOn(runtime.troubles, 'write')
    const owned = await own({ 0: 1 })
    const first = begin(owned)
    await pass(1_000)
    first.batch.end()
    await until(first.result)
    await runtime.troubles.write(
      key,
      { epoch: 1, batch: 1, attempt: 1, owner: '' },
      { replay: 0, suspect: { until: '9', crashes: 0 } },
    )
    log.append(0, 2)
    writes.mockClear()
    const second = begin(owned.map((one) => ({ ...one, from: '1', batch: 2 })))
    await pass(1_000)
    second.batch.end()
    await until(second.result)
    expect((await runtime.letters.count(name)).letters).toBe(3)
    expect(writes.mock.calls.filter(([, , trouble]) => trouble?.suspect?.inHand)).toEqual([])
  })
})
