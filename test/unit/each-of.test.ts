import { describe, expect, it } from 'vitest'
import { eachOf } from '../../src/model/each-of.js'

/** Work that ends when it is told to. */
function held() {
  const begun: number[] = []
  const ends = new Map<number, { done: (result: string) => void; failed: (error: Error) => void }>()
  const work = (item: number) =>
    new Promise<string>((done, failed) => {
      begun.push(item)
      ends.set(item, { done, failed })
    })
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  return {
    begun,
    work,
    async done(item: number) {
      ends.get(item)!.done(`done ${item}`)
      await turn()
    },
    async failed(item: number) {
      ends.get(item)!.failed(new Error(`failed ${item}`))
      await turn()
    },
  }
}

describe('work on each of many', () => {
  it('returns results in the order of the items, whatever ends first', async () => {
    const { work, done } = held()
    const all = eachOf([1, 2, 3], 3, work)
    for (const item of [3, 1, 2]) await done(item)
    expect(await all).toEqual(['done 1', 'done 2', 'done 3'])
  })

  it('begins no more at the same time than there are lanes', async () => {
    const { work, begun, done } = held()
    const all = eachOf(new Set([1, 2, 3, 4]), 2, work)
    expect(begun).toEqual([1, 2])
    await done(2)
    expect(begun).toEqual([1, 2, 3])
    for (const item of [1, 3, 4]) await done(item)
    await all
    expect(begun).toEqual([1, 2, 3, 4])
  })

  it('begins nothing more after the first error, and throws it when what is under way has ended', async () => {
    const { work, begun, done, failed } = held()
    let over = false
    const all = eachOf([1, 2, 3, 4], 3, work).finally(() => {
      over = true
    })
    const thrown = expect(all).rejects.toThrow('failed 2')
    await failed(2)
    await failed(1)
    expect([begun, over]).toEqual([[1, 2, 3], false])
    await done(3)
    await thrown
    expect(begun).toEqual([1, 2, 3])
  })

  it('of nothing is nothing', async () => {
    expect(await eachOf([], 4, async () => 1)).toEqual([])
  })

  it('throws also what is no error', async () => {
    await expect(eachOf([1], 1, () => Promise.reject(undefined))).rejects.toBeUndefined()
  })
})
