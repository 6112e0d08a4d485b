import { describe, expect, it } from 'vitest'
import { readBatches } from '../../src/kafka/source/record-batch.js'
import { RecordMessage, rawOf } from '../../src/kafka/source/record-message.js'
import { RecordCursor } from '../../src/kafka/source/records.js'
import { noHeaders, ReadMessage } from '../../src/reading/message.js'
import { batch, codecs, type TestRecord } from '../support/kafka-batches.js'

const origin = { group: 'billing', stream: 'orders', partition: 3, replay: 0 }
const odd = Buffer.from([0xff, 0x00, 0xfe])

/** The messages of a record set, as a reader makes them. */
function messagesOf(set: Buffer) {
  return readBatches(set).batches.flatMap((batch) => {
    const cursor = new RecordCursor(batch)
    const messages: RecordMessage<null>[] = []
    while (cursor.next()) messages.push(new RecordMessage({ origin, batch }, cursor.record, null))
    return messages
  })
}

describe('the raw message of a Kafka record', () => {
  const contents = [null, Buffer.alloc(0), Buffer.from('ä'), odd]
  const headers = [
    ['twice', Buffer.from('1')],
    ['null', null],
    ['odd', odd],
    ['twice', Buffer.alloc(0)],
  ] as const
  const records = contents.flatMap((key) =>
    contents.flatMap((value) => [[], headers].map((headers) => ({ key, value, headers }))),
  )

  it.each(codecs)('is all that was written, compressed with %s', (codec) => {
    const written = records.map((record, index) => ({ ...record, offset: 40 + 2 * index, timestamp: 1_000 - index }))
    const raws = messagesOf(batch(written, { codec })).map(rawOf)
    expect(raws).toEqual(written.map(({ offset, ...record }) => ({ ...record, offset: BigInt(offset) })))
  })

  it.each([0, 1, 63, 64, 8_191, 8_192, 1_048_575, 1_048_576])('has a value of %i bytes', (size) => {
    const value = Buffer.alloc(size, 7)
    for (const key of [null, '', 'k']) {
      const [before, message] = messagesOf(
        batch([{ offset: 0, value: 'before' } satisfies TestRecord, { offset: 1, key, value }]),
      )
      expect(String(rawOf(before!).value)).toBe('before')
      expect(rawOf(message!).value!.equals(value)).toBe(true)
    }
  })

  it('has the time of the log where the topic stamps messages itself', () => {
    const [message] = messagesOf(batch([{ offset: 0, timestamp: 1_000, value: 'x' }], { logAppendTime: 5_000 }))
    expect(rawOf(message!).timestamp).toBe(5_000)
  })

  it('is not made of a message of another log', () => {
    const other = new ReadMessage(origin, 7n, 0, null, null, noHeaders)
    expect(() => rawOf(other)).toThrow('the message at offset 7 is of no chunk of this log')
  })
})
