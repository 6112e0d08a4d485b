import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AbortedTransaction } from '../../src/kafka/source/fetch.js'
import { readBatches } from '../../src/kafka/source/record-batch.js'
import { RecordCursor } from '../../src/kafka/source/records.js'
import { visibleBatches } from '../../src/kafka/source/visible.js'
import { batch, marker, type TestRecord } from '../support/kafka-batches.js'

/*
 * A broker in a few lines: producers write to a log with and without transactions, compaction takes records away, and
 * fetches begin and end anywhere. What a reader makes of it is compared with what was committed.
 */

type Step =
  | { readonly kind: 'plain'; readonly producer: number; readonly records: number }
  | { readonly kind: 'write'; readonly producer: number; readonly records: number }
  | { readonly kind: 'end'; readonly producer: number; readonly type: 'commit' | 'abort' }

const producer = fc.integer({ min: 1, max: 4 })
const records = fc.integer({ min: 1, max: 4 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('plain' as const), producer, records }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('write' as const), producer, records }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('end' as const), producer, type: fc.constantFrom('commit', 'abort') }),
  },
)

interface Entry {
  readonly first: bigint
  readonly last: bigint
  readonly bytes: Buffer
}

interface Transaction extends AbortedTransaction {
  readonly lastOffset: bigint
}

/** What stands in the log after the steps. `kept` says which records compaction has left. */
function write(steps: readonly Step[], kept: readonly boolean[]) {
  const log: Entry[] = []
  const aborted: Transaction[] = []
  const committed: bigint[] = []
  const open = new Map<number, bigint[]>()
  let head = 0n
  let counted = 0
  for (const entry of steps) {
    const first = head
    if (entry.kind === 'end') {
      const offsets = open.get(entry.producer)
      if (!offsets) continue
      open.delete(entry.producer)
      if (entry.type === 'abort')
        aborted.push({ producerId: BigInt(entry.producer), firstOffset: offsets[0]!, lastOffset: head })
      else committed.push(...offsets)
      log.push({ first, last: head, bytes: marker(head, entry.producer, entry.type) })
      head++
      continue
    }
    const all = Array.from({ length: entry.records }, (_, i) => head + BigInt(i))
    head += BigInt(entry.records)
    const transactional = entry.kind === 'write'
    // A producer with an open transaction writes nothing beside it.
    if (!transactional && open.has(entry.producer)) continue
    if (transactional) open.set(entry.producer, [...(open.get(entry.producer) ?? []), ...all])
    else committed.push(...all)
    const left: TestRecord[] = all
      .filter(() => kept[counted++ % kept.length])
      .map((offset) => ({ offset, value: String(offset) }))
    const bytes = batch(left, { base: first, last: head - 1n, producerId: entry.producer, transactional })
    log.push({ first, last: head - 1n, bytes })
  }
  const lastStable = [...open.values()].reduce((least, [first]) => (first! < least ? first! : least), head)
  return { log, aborted, committed, lastStable, head }
}

/** Reads to the last stable offset as a reader does, `sizes` batches at a time. */
function read({ log, aborted, lastStable }: ReturnType<typeof write>, from: bigint, sizes: readonly number[]) {
  const seen: bigint[] = []
  let position = from
  for (let fetches = 0; position < lastStable; fetches++) {
    const entries = log
      .filter(({ first, last }) => last >= position && first < lastStable)
      .slice(0, sizes[fetches % sizes.length])
    if (entries.length === 0) break
    const end = entries.at(-1)!.last
    // The broker names those that end at or behind the position and begin before the fetch's end.
    const named = aborted.filter(({ firstOffset, lastOffset }) => lastOffset >= position && firstOffset <= end)
    const { batches } = readBatches(Buffer.concat(entries.map(({ bytes }) => bytes)))
    const visible = visibleBatches(batches, named)
    for (const one of batches) {
      if (!visible.has(one)) continue
      const cursor = new RecordCursor(one)
      while (cursor.next()) if (cursor.record.offset >= position) seen.push(cursor.record.offset)
    }
    const next = batches.at(-1)!.nextOffset
    expect(next > position, 'every fetch moves the position').toBe(true)
    position = next
  }
  return { seen, position }
}

describe('a reader of committed data', () => {
  it('gets exactly what was committed, whatever overlaps and wherever fetches begin and end', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 5 }),
        fc.nat(40),
        (steps, kept, sizes, start) => {
          const written = write(steps, kept)
          const here = new Set(
            readBatches(Buffer.concat(written.log.map(({ bytes }) => bytes))).batches.flatMap((one) => {
              const offsets: bigint[] = []
              const cursor = new RecordCursor(one)
              while (!one.control && cursor.next()) offsets.push(cursor.record.offset)
              return offsets
            }),
          )
          const from = BigInt(start)
          const expected = written.committed
            .filter((offset) => offset >= from && offset < written.lastStable && here.has(offset))
            .sort((a, b) => (a < b ? -1 : 1))
          expect(read(written, from, sizes).seen).toEqual(expected)
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it("skips two open producers' aborted records, and not the ones between them", () => {
    const set = Buffer.concat([
      batch([{ offset: 0, value: 'a' }], { producerId: 1, transactional: true }),
      batch([{ offset: 1, value: 'b' }], { producerId: 2, transactional: true }),
      batch([{ offset: 2, value: 'c' }], { producerId: 3, transactional: true }),
      batch([{ offset: 3, value: 'd' }]),
      marker(4, 2, 'abort'),
      batch([{ offset: 5, value: 'e' }], { producerId: 1, transactional: true }),
      marker(6, 1, 'abort'),
      marker(7, 3, 'commit'),
      batch([{ offset: 8, value: 'f' }], { producerId: 1, transactional: true }),
      marker(9, 1, 'commit'),
    ])
    const { batches } = readBatches(set)
    const aborted = [
      { producerId: 2n, firstOffset: 1n },
      { producerId: 1n, firstOffset: 0n },
    ]
    const visible = visibleBatches(batches, aborted)
    expect(batches.filter((one) => visible.has(one)).map(({ baseOffset }) => baseOffset)).toEqual([2n, 3n, 8n])
  })
})
