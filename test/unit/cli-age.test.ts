import { expect, it } from 'vitest'
import { agesAt } from '../../src/client/age.js'
import { TidemarkError } from '../../src/model/errors.js'
import type { Chunk, Message, Reader, SourceClient } from '../../src/ports/index.js'

const hour = 3_600_000

it('tells how old the message at each position is, and null where nobody can say', async () => {
  const written = { timestamp: Date.now() - hour } as Message
  const chunks: Record<number, (Partial<Chunk> | null | Error)[]> = {
    0: [{ messages: [written] }],
    // Behind a gap.
    1: [{ messages: [] }, { messages: [written] }],
    // From a clock that is ahead.
    2: [{ messages: [{ timestamp: Date.now() + hour } as Message] }],
    3: [{ messages: [], poison: { error: new TidemarkError('UNDECODABLE', 'no json'), raw: null, next: 8n } }],
    4: [null],
    5: [new TidemarkError('OUT_OF_RANGE', 'gone')],
    // Written at a time that the log does not know.
    6: [{ messages: [{ timestamp: -1 } as Message] }],
    7: [{ messages: [{ timestamp: Number.POSITIVE_INFINITY } as Message] }],
    8: [{ messages: [{ timestamp: Number.NaN } as Message] }],
  }
  let released = 0
  let closed = 0
  const read = (_: bigint, { key }: { key: { partition: number } }): Reader => ({
    arrived: async () => true,
    next: async () => {
      const chunk = chunks[key.partition]!.shift()
      if (chunk instanceof Error) throw chunk
      return chunk ? ({ ...chunk, release: () => released++ } as unknown as Chunk) : null
    },
    close: async () => void closed++,
  })
  const positions = Object.keys(chunks).map((partition) => ({
    key: { group: 'billing', stream: 'orders', partition: Number(partition) },
    position: 7n,
  }))
  const ages = await agesAt({ read } as unknown as SourceClient, positions)

  for (const partition of [0, 1]) expect(Math.round(ages.get(partition)! / hour)).toBe(1)
  expect([2, 3, 4, 5, 6, 7, 8].map((partition) => ages.get(partition))).toEqual([0, ...Array(6).fill(null)])
  expect({ released, closed }).toEqual({ released: 8, closed: 9 })
})
