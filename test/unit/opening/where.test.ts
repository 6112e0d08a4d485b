import { describe, expect, it } from 'vitest'
import { type Known, whereToGoOn } from '../../../activities/opening/where.js'
import type { Progress, StoredOffset } from '../../../src/ports/index.js'

const key = { group: 'billing', stream: 'orders', partition: 0 }
const stored = (position: bigint, change: Partial<StoredOffset> = {}): StoredOffset => ({
  ...key,
  ...{ position, epoch: 3, replay: 0, identity: 'orders 1', updatedAt: null },
  ...change,
})
const done = (position: bigint, change: Partial<Progress> = {}): Progress => ({
  ...{ position, replay: 0, identity: 'orders 1', witness: null, token: { epoch: 3, batch: 7, attempt: 1 } },
  ...change,
})
const where = (known: Partial<Known>) =>
  whereToGoOn({ stored: undefined, done: null, outranksStore: true, lastMove: async () => null, ...known })

describe('where a partition goes on', () => {
  it('is where the start option says as long as nobody knows it', async () => {
    expect(await where({})).toEqual({ where: 'start' })
  })

  it('is what is stored, and what was handled beyond that', async () => {
    const there = { where: 'there', position: 9n, replay: 0, identity: 'orders 1' }
    expect(await where({ stored: stored(9n), done: done(9n) })).toEqual(there)
    expect(await where({ stored: stored(4n), done: done(9n) })).toEqual(there)
  })

  it('is where a reset has put it, whatever was handled before', async () => {
    const reset = { stored: stored(2n, { replay: 1 }), done: done(9n), lastMove: async () => 2n }
    expect(await where(reset)).toEqual({ where: 'there', position: 2n, replay: 1, identity: 'orders 1' })
  })

  it('is where another client of the log has left it, as a new replay where Tidemark has handled before', async () => {
    const foreign = stored(2n, { epoch: 0, identity: null })
    expect(await where({ stored: foreign })).toMatchObject({ position: 2n, replay: 0 })
    expect(await where({ stored: foreign, done: done(9n) })).toMatchObject({ position: 2n, replay: 1 })
  })

  it('is where the handlers are when the store was emptied, and says so', async () => {
    expect(await where({ done: done(9n, { replay: 2 }) })).toMatchObject({
      ...{ where: 'there', position: 9n, replay: 2 },
      warning: expect.stringContaining('does not know the partition any more: it goes on at 9'),
    })
  })

  it('says nothing of a store that never came to know it', async () => {
    const begun = done(9n, { token: { epoch: 0, batch: 0, attempt: 0 } })
    expect(await where({ done: begun })).not.toHaveProperty('warning')
  })

  it('is asked for where the progress of handlers is lost', async () => {
    expect(await where({ stored: stored(9n) })).toMatchObject({
      where: 'lost',
      why: expect.stringContaining("the handlers' database knows nothing of the partition"),
    })
  })

  it("is where the handlers' database was set back to: what came after is gone there", async () => {
    expect(await where({ stored: stored(9n), done: done(4n) })).toMatchObject({
      ...{ where: 'there', position: 4n, replay: 0 },
      moved: expect.stringContaining("the handlers' database was set back: what was handled from 4 to 9 is gone there"),
    })
  })

  it("is where the store's replay began when the handlers' database was set back to before it", async () => {
    const known = { stored: stored(9n, { replay: 1 }), done: done(50n), lastMove: async () => 2n }
    expect(await where(known)).toMatchObject({
      ...{ where: 'there', position: 2n, replay: 1 },
      moved: expect.stringContaining('set back to before the position was put at 2'),
    })
  })

  it('is where the handlers are when the store was set back to before a reset', async () => {
    expect(await where({ stored: stored(50n), done: done(9n, { replay: 1 }) })).toMatchObject({
      ...{ where: 'there', position: 9n, replay: 1 },
      moved: expect.stringContaining('the offset store was set back'),
    })
  })

  it('is what is stored where progress is no part of what the effects are in', async () => {
    const beside = { outranksStore: false }
    expect(await where({ ...beside, stored: stored(9n) })).toMatchObject({ where: 'there', position: 9n })
    expect(await where({ ...beside, stored: stored(9n), done: done(4n) })).toMatchObject({ position: 9n })
    expect(await where({ ...beside, stored: stored(9n, { replay: 1 }), done: done(4n) })).toMatchObject({
      position: 9n,
    })
  })

  it('belongs to the stream that progress belongs to', async () => {
    const known = { stored: stored(9n, { identity: 'orders 2' }), done: done(9n) }
    expect(await where(known)).toMatchObject({ identity: 'orders 1' })
  })
})
