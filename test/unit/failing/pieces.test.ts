import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Pieces } from '../../../activities/failing/pieces.js'
import type { Chunk, Message } from '../../../src/ports/index.js'

/** Messages at these offsets, in a log that may have gaps. */
function chunkOf(offsets: readonly number[], next = (offsets.at(-1) ?? 0) + 1): Chunk {
  return {
    from: BigInt(offsets[0] ?? 0),
    next: BigInt(next),
    messages: offsets.map((offset) => ({ offset: BigInt(offset) }) as Message),
    bytes: offsets.length * 10,
    head: BigInt(next),
    witness: 'w',
    raw: () => {
      throw new Error('not asked')
    },
    release: () => {},
  }
}

const upTo = (count: number) => [...Array(count).keys()]
const offsetsOf = ({ messages }: Chunk) => messages.map(({ offset }) => Number(offset))

/** Handles a chunk as a handler does that fails at some messages, each of which is set aside once it is alone. */
function work(chunk: Chunk, isBad: (offset: number) => boolean, given: ConstructorParameters<typeof Pieces>[1] = {}) {
  const pieces = new Pieces(chunk, given)
  const calls: number[][] = []
  const done: number[] = []
  const aside: number[] = []
  let position = chunk.from
  for (let next = pieces.next(); next; next = pieces.next()) {
    const { chunk: piece } = next
    const offsets = offsetsOf(piece)
    calls.push(offsets)
    if (offsets.some(isBad)) {
      if (offsets.length > 1) {
        pieces.split()
        continue
      }
      aside.push(...offsets)
    } else done.push(...offsets)
    expect(piece.from).toBeGreaterThanOrEqual(position)
    position = piece.next
  }
  return { calls, done, aside, position }
}

describe('pieces of a chunk', () => {
  it('are the chunk itself where nothing fails', () => {
    const chunk = chunkOf(upTo(10))
    const pieces = new Pieces(chunk)
    expect(pieces.next()?.chunk).toBe(chunk)
    expect(pieces.next()).toBeNull()
  })

  it('are halved until the message that fails is alone, in some 2 log2 n calls', () => {
    const { calls, done, aside } = work(chunkOf(upTo(10_000)), (offset) => offset === 6_789)
    expect(aside).toEqual([6_789])
    expect(done).toHaveLength(9_999)
    expect(calls.length).toBeLessThanOrEqual(29)
  })

  it('do not run what is known to hold the bad message, since the piece before it was good', () => {
    const { calls } = work(chunkOf(upTo(4)), (offset) => offset === 3)
    expect(calls).toEqual([[0, 1, 2, 3], [0, 1], [2], [3]])
  })

  it('keep the gaps of a log, and what lies behind its last message', () => {
    const { position } = work(chunkOf([5, 9, 20], 30), (offset) => offset === 9)
    expect(position).toBe(30n)
  })

  it('carry the witness only where they end with the chunk', () => {
    const pieces = new Pieces(chunkOf(upTo(3)))
    pieces.next()
    pieces.split()
    expect(pieces.next()?.chunk.witness).toBeUndefined()
    expect(pieces.next()?.chunk.witness).toBe('w')
  })

  it('begin with one message that is known to fail, and are no larger than they may be', () => {
    const cuts = (given: object) => work(chunkOf(upTo(7)), () => false, given).calls
    expect(cuts({ first: 1 })).toEqual([[0], [1, 2, 3, 4, 5, 6]])
    expect(cuts({ size: 3 })).toEqual([[0, 1, 2], [3, 4, 5], [6]])
    expect(cuts({ first: 1, size: 4 })).toEqual([[0], [1, 2, 3, 4], [5, 6]])
  })

  it('are cut at the messages that a handler names', () => {
    const pieces = new Pieces(chunkOf(upTo(6)))
    pieces.next()
    pieces.isolate(new Set([1n, 2n, 5n]), 'boom')
    const seen = []
    for (let next = pieces.next(); next; next = pieces.next())
      seen.push([...offsetsOf(next.chunk), next.failed ?? 'try'])
    expect(seen).toEqual([
      [0, 'try'],
      [1, 'boom'],
      [2, 'boom'],
      [3, 4, 'try'],
      [5, 'boom'],
    ])
  })

  it('give each message away once, in order, whichever fail', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.array(fc.nat(299)), (count, bad) => {
        const isBad = (offset: number) => bad.includes(offset)
        const { calls, done, aside } = work(chunkOf(upTo(count)), isBad)
        const found = [...new Set(bad)].filter((one) => one < count)
        expect(done).toEqual(upTo(count).filter((one) => !isBad(one)))
        expect(aside).toEqual(upTo(count).filter(isBad))
        expect(calls.length).toBeLessThanOrEqual(1 + found.length * (2 * Math.ceil(Math.log2(count + 1)) + 1))
      }),
      { numRuns: 200 },
    )
  })
})
