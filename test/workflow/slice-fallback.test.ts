import { expect, it } from 'vitest'
import type { BatchInput, RaiseInput } from '../../src/model/batch.js'
import { names } from '../../src/model/commands.js'
import { withSlice } from '../support/live-slice.js'
import { describeWith } from '../support/parts.js'
import { waitFor } from '../support/wait-for.js'
import { handled, revisionOn, skippingTime } from '../support/workflow-env.js'

/** No time is skipped while a batch waits for a worker, so that each of these waits for half a minute: they do it together. */
describeWith(['timeSkipping'], 'slice workflow: no worker holds the config in force', () => {
  it.concurrent('continues with an older config when no worker with the one in force takes a batch', () =>
    skippingTime(async (env) => {
      const asked: string[] = []
      const raised: RaiseInput[] = []
      const activities = {
        process: async (input: BatchInput) =>
          handled(input, input.partitions[0]!.from === '0' ? 100 : 0, { end: 'rest' }),
        raise: async (input: RaiseInput) => void raised.push(input),
        fallback: async ({ wanted }: { wanted: string }) => {
          asked.push(wanted)
          return { version: '' }
        },
      }
      const change = (queue: string) => ({ revision: revisionOn(queue, '-of-nobody') })
      await withSlice(env, { activities, change }, async ({ untilCommitted, partition }) => {
        // No time is skipped while a batch waits for a worker.
        await env.sleep('31 seconds')
        await untilCommitted(0, '100')
        expect((await partition(0)).version).toBe('')
      })
      expect(asked).toEqual(['-of-nobody'])
      // Nobody had the batch, so nobody's tokens have to be made worthless.
      expect(raised).toEqual([])
    }))

  it.concurrent('returns to the config in force when its worker is back', () =>
    skippingTime(async (env) => {
      const activities = { fallback: async () => ({ version: '' }) }
      const change = (queue: string) => ({ revision: revisionOn(queue, '-of-nobody') })
      await withSlice(env, { activities, change }, async ({ batch, handle, revision, until }) => {
        const first = await batch('a batch of the older version', 50_000)
        await handle.signal(names.configure, revision)
        await waitFor(() => first.cancelled, { what: 'the batch to be cancelled' })
        first.answer(5, { end: 'released' })
        await until(0, 'the version in force', ({ version, place }) => version === '-of-nobody' && place === 'slice')
      })
    }))

  it.concurrent('returns to the config in force when the group says so, and hears nothing about another one', () =>
    skippingTime(async (env) => {
      const change = (queue: string) => ({ revision: revisionOn(queue, '-of-nobody'), version: '' })
      await withSlice(env, { change }, async ({ batch, handle, partition, until }) => {
        const first = await batch('a batch of the older version')
        await handle.signal(names.fallback, { wanted: '-before', version: '-older' })
        // It has heard that by the time it answers.
        await partition(0)
        const { events } = await handle.fetchHistory()
        expect(events!.filter((event) => event.activityTaskCancelRequestedEventAttributes)).toEqual([])
        await handle.signal(names.fallback, { wanted: '-of-nobody', version: '-of-nobody' })
        await waitFor(() => first.cancelled, { what: 'the batch to be cancelled' })
        first.answer(5, { end: 'released' })
        await until(0, 'the version in force', ({ version, place }) => version === '-of-nobody' && place === 'slice')
      })
    }))

  it.concurrent('stays with a config that comes into force while it asks which one the workers hold', () =>
    skippingTime(async (env) => {
      let answer = () => {}
      const answered = new Promise<void>((resolve) => {
        answer = resolve
      })
      let asked = false
      const fallback = async () => {
        asked = true
        await answered
        return { version: '' }
      }
      const change = (queue: string) => ({ revision: revisionOn(queue, '-of-nobody') })
      await withSlice(env, { activities: { fallback }, change }, async ({ handle, revision, until, taken }) => {
        await env.sleep('31 seconds')
        await waitFor(() => asked, { what: 'the question' })
        await handle.signal(names.configure, { ...revision, version: '-newest' })
        answer()
        await until(0, 'the newest version', ({ version, place }) => version === '-newest' && place === 'slice')
        expect(taken).toEqual([])
      })
    }))
})
