import { describe, expect, it } from 'vitest'
import { rawAt } from '../../src/postgres/source/decode.js'
import type { Row } from '../../src/postgres/source/fetch.js'

const row = (position: bigint, change: Partial<Row> = {}): Row => ({
  position,
  key: `k${position}`,
  type: null,
  data: `"v${position}"`,
  headers: null,
  timestamp: Number(position),
  createdAt: '',
  ...change,
})

describe('the raw message of an event', () => {
  it.each([1, 2, 3, 4, 7, 8, 1_000])('is found at its position among %i, whatever the gaps', (count) => {
    const rows = Array.from({ length: count }, (_, index) => row(BigInt(index * index + 3)))
    for (const { position, key, data } of rows) {
      const { offset, value, ...raw } = rawAt(rows, position)
      expect([offset, String(raw.key), String(value)]).toEqual([position, key, data])
    }
  })

  it('has its type and its headers as the reader makes them, and no key where there is none', () => {
    const headers = JSON.stringify({ twice: ['1', '2'], none: null, number: 5 })
    expect(rawAt([row(9n, { type: 'paid', key: null, headers, data: '"ä"' })], 9n)).toEqual({
      offset: 9n,
      timestamp: 9,
      key: null,
      value: Buffer.from('"ä"'),
      headers: [
        ['type', Buffer.from('paid')],
        ['twice', Buffer.from('1')],
        ['twice', Buffer.from('2')],
        ['none', null],
        ['number', Buffer.from('5')],
      ],
    })
  })
})
