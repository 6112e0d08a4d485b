import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { consumer, defineConfig } from '../../src/config/define.js'
import { parseConfig } from '../../src/config/parse.js'
import { kafka } from '../../src/entry/kafka.js'
import { postgresStore, postgresStream } from '../../src/entry/postgres.js'
import { rabbitmq } from '../../src/entry/rabbitmq.js'
import { groupWorkflowId, idempotencyKey, partitionPath, sliceWorkflowId } from '../../src/model/partition.js'
import { queuesOf } from '../../src/model/revision.js'
import type { Source } from '../../src/ports/index.js'

const connectionString = 'postgres://me@db/bank'
const seen = { numRuns: 500 }

function taken(source: Source, group = 'billing') {
  const config = defineConfig({
    store: postgresStore({ connectionString }),
    consumers: [consumer({ group, source, handler: () => {} })],
  })
  return parseConfig(config, {}).consumers[0]!.settings
}

const isPrintable = (name: string) => /^[^\p{Cc}\p{Cs}\u2028\u2029]+$/u.test(name)
/** Any text that a line can show, with what separates the parts of IDs more often than chance would have it. */
const printable = (maxLength: number) =>
  fc
    .array(
      fc.oneof(
        fc.constantFrom('/', '%', '%2F', '%25', '2F', '.', ' ', 'é'),
        fc.string({ unit: 'binary', maxLength: 4 }),
      ),
      {
        minLength: 1,
      },
    )
    .map((parts) => [...parts.join('')].slice(0, maxLength).join(''))
    .filter(isPrintable)

describe('a consumer takes', () => {
  it("every name of a topic that Kafka takes, with the longest group's name of RabbitMQ", () => {
    const none = /^(\.\.?|null|NaN)$|undefined/
    const topic = fc.stringMatching(/^[a-zA-Z0-9._-]{1,249}$/).filter((name) => !none.test(name))
    fc.assert(
      fc.property(topic, (topic) => {
        const source = kafka({ brokers: ['b:9092'], topic })
        expect(taken(source, 'g'.repeat(255)).stream).toBe(topic)
      }),
      seen,
    )
  })

  it('every name of a stream that createStream takes', () => {
    fc.assert(
      fc.property(printable(249), (stream) => {
        const source = postgresStream({ connectionString, stream })
        if (Buffer.byteLength(stream) <= 700) expect(taken(source, 'äöü/%').stream).toBe(stream)
      }),
      seen,
    )
  })

  it('every name of a stream that RabbitMQ takes', () => {
    fc.assert(
      fc.property(
        printable(255).filter((name) => Buffer.byteLength(name) <= 255),
        (stream) => {
          expect(taken(rabbitmq({ host: 'h', stream }), 'g'.repeat(255)).stream).toBe(stream)
        },
      ),
      seen,
    )
  })

  it('the longest names there are', () => {
    expect(taken(kafka({ brokers: ['b:9092'], topic: 't'.repeat(249) }), 'g'.repeat(600)).group).toHaveLength(600)
    expect(taken(postgresStream({ connectionString, stream: '語'.repeat(249) })).stream).toHaveLength(249)
    expect(() => taken(postgresStream({ connectionString, stream: '😀'.repeat(249) }), 'b')).toThrow(
      /the names of the group, its stream and the taskQueue are too long together: Temporal takes IDs of 1000 bytes, and theirs would have \d+\. Shorten the group's name/,
    )
    expect(() => postgresStream({ connectionString, stream: '😀'.repeat(250) })).toThrow('249 characters')
    expect(() => rabbitmq({ host: 'h', stream: 'é'.repeat(128) })).toThrow('255 bytes')
  })
})

it("no two consumers' partitions have an ID in common, whatever they are called", () => {
  const name = printable(12)
  const key = fc.record({ group: name, stream: name, partition: fc.nat(2), more: fc.nat(2) })
  fc.assert(
    fc.property(key, key, (one, other) => {
      fc.pre(one.group !== other.group || one.stream !== other.stream)
      const ids = ({ group, stream, more }: typeof one) => [
        groupWorkflowId(group, stream),
        sliceWorkflowId({ group, stream }, more),
      ]
      for (const id of ids(one)) expect(ids(other)).not.toContain(id)
      expect(partitionPath(one)).not.toBe(partitionPath(other))
      expect(idempotencyKey(one, 1n, 0)).not.toBe(idempotencyKey(other, 1n, 0))
      expect(queuesOf('t', 'g', one)).not.toMatchObject({ control: queuesOf('t', 'g', other).control })
    }),
    { numRuns: 3_000 },
  )
  expect(groupWorkflowId('a', 'b/0')).toBe('tidemark/a/b%2F0')
  expect(groupWorkflowId('100%', '2%2F')).toBe('tidemark/100%/2%252F')
})
