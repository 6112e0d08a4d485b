import { expect, it } from 'vitest'
import { formatOffsets, parseOffsets } from '../../src/client/offsets-file.js'

const row = (group: string | null, stream: string, partition: number, offset: bigint) => ({
  group,
  stream,
  partition,
  offset,
})
const read = (text: string) => parseOffsets(text, 'offsets.csv')

it('writes offsets of one group as kafka-consumer-groups does, without the group', () => {
  const offsets = [0, 1].map((partition) => ({ group: 'billing', stream: 'orders', partition, offset: 120n }))
  expect(formatOffsets(offsets)).toBe('orders,0,120\norders,1,120\n')
  expect(read('orders,0,120\norders,1,120\n')).toEqual([row(null, 'orders', 0, 120n), row(null, 'orders', 1, 120n)])
})

it('writes offsets of several groups with the group in front', () => {
  const offsets = ['billing', 'audit'].map((group) => ({ group, stream: 'orders', partition: 3, offset: 7n }))
  expect(formatOffsets(offsets)).toBe('billing,orders,3,7\naudit,orders,3,7\n')
  expect(read(formatOffsets(offsets))).toEqual([row('billing', 'orders', 3, 7n), row('audit', 'orders', 3, 7n)])
})

it('reads back whatever names groups and streams have, and offsets beyond what a double holds', () => {
  const offset = 9_007_199_254_740_993n
  const offsets = ['a,b', 'say "hi"', ' blank '].map((name) => ({ group: name, stream: name, partition: 0, offset }))
  expect(read(formatOffsets(offsets))).toEqual(offsets.map(({ group, stream }) => row(group, stream, 0, offset)))
})

it('takes files of other systems: a mark in front, CRLF, blanks, empty lines', () => {
  expect(read('\ufefforders, 0, 120\r\n\r\n"orders",1,5\r\n')).toEqual([
    row(null, 'orders', 0, 120n),
    row(null, 'orders', 1, 5n),
  ])
})

it.each([
  ['', 'offsets.csv has no offsets'],
  ['orders,0\n', 'line 1 of offsets.csv: write topic,partition,offset or group,topic,partition,offset'],
  ['a,b,c,0,1', 'line 1 of offsets.csv: write topic'],
  ['topic,partition,offset\norders,0,1', "line 1 of offsets.csv: 'partition' is no partition"],
  ['orders,0,1\norders,1,-1', "line 2 of offsets.csv: '-1' is no offset"],
  ['orders,0,1\norders,0,2', 'line 2 of offsets.csv: partition 0 of orders is there twice'],
  ['orders,0,1\nbilling,orders,1,2', 'line 2 of offsets.csv: it names a group, or the lines before it do'],
  ['"orders,0,1', 'line 1 of offsets.csv: write topic'],
  ['"orders"x,0,1', 'line 1 of offsets.csv: write topic'],
])('refuses %j, naming the line', (text, said) => {
  expect(() => read(text)).toThrow(said)
})
