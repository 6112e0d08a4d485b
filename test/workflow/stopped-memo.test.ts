import type { WorkflowHandle } from '@temporalio/client'
import { expect, it } from 'vitest'
import { names, type StoppedPartition } from '../../src/model/commands.js'
import { withSlice } from '../support/live-slice.js'
import { describeWith } from '../support/parts.js'
import { waitFor } from '../support/wait-for.js'
import { skippingServer } from '../support/workflow-env.js'

/** Everything that a slice has written of stopped partitions into its memo, by its history. */
async function written(handle: WorkflowHandle): Promise<StoppedPartition[][]> {
  const { events } = await handle.fetchHistory()
  return (events ?? []).flatMap(({ workflowPropertiesModifiedEventAttributes: modified }) => {
    const stopped = modified?.upsertedMemo?.fields?.stopped
    return stopped ? [JSON.parse(Buffer.from(stopped.data ?? '').toString()) as StoppedPartition[]] : []
  })
}

describeWith(['timeSkipping'], 'slice workflow: its memo of stopped partitions', () => {
  const server = skippingServer()

  it('is written once when partitions stop, and emptied once they are healthy again', async () => {
    await withSlice(server.env, { partitions: [0, 1, 2] }, async ({ batch, handle, memo, until, untilCommitted }) => {
      const first = await batch()
      first.answerWith(
        first.outcome(0, 3, { end: 'blocked', reason: 'orders[0] offset 3 is not JSON' }),
        first.outcome(1, 7, { end: 'fenced', reason: 'epoch 8 has it' }),
        first.outcome(2, 5),
      )
      const { since } = await until(0, 'the block', ({ condition }) => condition === 'blocked')
      const stopped = [
        { partition: 0, condition: 'blocked', reason: 'orders[0] offset 3 is not JSON', since, replay: 0 },
        { partition: 1, condition: 'fenced', reason: 'epoch 8 has it', since },
      ]
      expect(await waitFor(async () => (await memo()).stopped, { what: 'the memo' })).toEqual(stopped)
      const second = await batch()
      second.answer(5)
      await untilCommitted(2, '10')
      const third = await batch()
      await handle.signal(names.resume, {})
      await waitFor(async () => !(await memo()).stopped?.length, { what: 'the memo to be emptied' })
      third.answer(1)
      await untilCommitted(2, '11')
      expect(await written(handle)).toEqual([stopped, []])
    })
  })

  it('is never written where none has stopped', async () => {
    await withSlice(server.env, { partitions: [0, 1] }, async ({ batch, handle, memo }) => {
      const first = await batch()
      first.answer(10, { end: 'rest' })
      await waitFor(async () => (await memo()).rest, { what: 'the rest' })
      expect(await written(handle)).toEqual([])
    })
  })

  it('has 50 partitions at most, and their reasons cut', async () => {
    const partitions = Array.from({ length: 60 }, (_, index) => index)
    await withSlice(server.env, { partitions }, async ({ batch, memo }) => {
      const first = await batch()
      first.answer(0, { end: 'blocked', reason: 'x'.repeat(1_000) })
      const { stopped } = await waitFor(async () => (await memo()).stopped && memo(), { what: 'the memo' })
      expect(stopped!.map(({ partition }) => partition)).toEqual(partitions.slice(0, 50))
      expect(new Set(stopped!.map(({ reason }) => reason.length))).toEqual(new Set([300]))
    })
  })
})
