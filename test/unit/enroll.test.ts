import { MockActivityEnvironment } from '@temporalio/testing'
import { describe, expect, it } from 'vitest'
import { createEnroll, createNote } from '../../activities/enroll.js'
import type { Enrolled, Pauses } from '../../src/model/batch.js'
import { batchGround, name } from '../support/batch-ground.js'

/** A stream of so many partitions, and the group's activities on it. */
async function ground(partitions: number) {
  const { runtime, log, lines } = await batchGround()
  for (let partition = 0; partition < partitions; partition++) log.append(partition)
  const [enroll, note] = [createEnroll(runtime), createNote(runtime)]
  const run = new MockActivityEnvironment()
  return {
    log,
    lines,
    records: runtime.records,
    enroll: (slices?: number): Promise<Enrolled> =>
      run.run(() => enroll({ name, ...(slices === undefined ? {} : { slices }) })),
    note: (what: 'paused' | 'resumed' | 'stopped' | 'added', partitions?: number[]): Promise<Pauses> =>
      run.run(() => note({ name, what, by: 'ann@host', reason: 'a fix', ...(partitions ? { partitions } : {}) })),
  }
}

describe('to enroll a group', () => {
  it('creates its record, with the slices that its options name', async () => {
    const { enroll, records } = await ground(3)
    const enrolled = { slices: 5, generation: 1, partitions: [0, 1, 2], added: [], stopped: null }
    expect(await enroll(5)).toMatchObject(enrolled)
    expect(await records.read(name)).toMatchObject({ slices: 5, partitions: [0, 1, 2] })
  })

  it('chooses the number of slices where its options name none', async () => {
    expect(await (await ground(3)).enroll()).toMatchObject({ slices: 16 })
    expect(await (await ground(1_025)).enroll()).toMatchObject({ slices: 64 })
  })

  it('leaves the slices of a group that is there as they are', async () => {
    const { enroll } = await ground(3)
    await enroll(5)
    expect(await enroll(7)).toMatchObject({ slices: 5 })
  })

  it('says which partitions the stream has gained, until it is noted that their slices know', async () => {
    const { enroll, note, log } = await ground(2)
    await enroll()
    log.append(2)
    expect(await enroll()).toMatchObject({ partitions: [0, 1, 2], added: [2] })
    expect(await enroll()).toMatchObject({ partitions: [0, 1, 2], added: [2] })
    await note('added', [2])
    expect(await enroll()).toMatchObject({ partitions: [0, 1, 2], added: [] })
  })

  it('knows pauses and stops of before', async () => {
    const { enroll, note } = await ground(3)
    await enroll()
    await note('paused', [1])
    const { pauses } = await enroll()
    expect(pauses).toMatchObject({ group: null, partitions: [{ partition: 1, by: 'ann@host', reason: 'a fix' }] })
    await note('stopped')
    expect((await enroll()).stopped).toContain('stays stopped')
  })
})

describe('a note', () => {
  it('pauses the group, and ends its pause', async () => {
    const { enroll, note } = await ground(2)
    await enroll()
    const paused = await note('paused')
    expect(paused).toMatchObject({ group: { by: 'ann@host', reason: 'a fix' }, partitions: [] })
    // ISO, as it crosses into workflows.
    expect(new Date(paused.group!.since).toISOString()).toBe(paused.group!.since)
    expect(await note('paused')).toEqual(paused)
    expect(await note('resumed')).toEqual({ group: null, partitions: [] })
  })

  it('pauses partitions, and ends the pauses of some of them', async () => {
    const { enroll, note } = await ground(3)
    await enroll()
    await note('paused', [0, 2])
    expect((await note('resumed', [0])).partitions).toMatchObject([{ partition: 2 }])
  })

  it('creates a record that was lost with its database, with all partitions of the stream', async () => {
    const { note, records } = await ground(3)
    await note('paused', [1])
    expect(await records.read(name)).toMatchObject({ slices: 16, partitions: [0, 1, 2] })
  })
})

it('what a person has decided is in the log, with name and reason', async () => {
  const { enroll, note, lines } = await ground(9)
  await enroll()
  await note('paused', [3, 1, 2])
  await note('resumed')
  expect(lines.map(({ level, message }) => `${level}: ${message}`)).toEqual([
    'info: paused: partitions 1 to 3 by ann@host: a fix',
    'info: resumed: all partitions by ann@host: a fix',
  ])
})
