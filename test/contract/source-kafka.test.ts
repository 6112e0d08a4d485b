import { CompressionTypes, type IHeaders, Kafka, logLevel } from 'kafkajs'
import * as vitest from 'vitest'
import { kafka } from '../../src/entry/kafka.js'
import { verifySource } from '../../src/testing/contracts/source.js'
import type { HarnessMessage, SourceHarness } from '../../src/testing/contracts/source-harness.js'
import { makeTopics } from '../support/make-topics.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'

describeWith(['kafka'], 'Kafka', () => {
  const open = async (): Promise<SourceHarness> => {
    const { brokers } = part('kafka')
    const client = new Kafka({ clientId: 'contract', brokers: [...brokers], logLevel: logLevel.NOTHING })
    const admin = client.admin()
    const producer = client.producer()
    await Promise.all([admin.connect(), producer.connect()])
    // Removed at the end: a kafkajs producer asks for all the topics it ever wrote to, and fails once one of them is gone.
    const topics: string[] = []
    return {
      createStream: async (partitions) => {
        const topic = unique('contract')
        await makeTopics(admin, [{ topic, numPartitions: partitions }])
        topics.push(topic)
        return {
          name: topic,
          source: (value) => kafka({ brokers, topic, ...(value ? { value } : {}) }),
          append: async (partition, values, { key, headers } = {}) => {
            const messages = values.map((value) => ({
              partition,
              value: JSON.stringify(value),
              ...(key === undefined ? {} : { key }),
              ...(headers ? { headers: { ...headers } } : {}),
            }))
            await producer.send({ topic, messages })
          },
          // Compressed, half of them in one batch.
          appendRaw: async (partition, messages) => {
            const half = Math.ceil(messages.length / 2)
            for (const some of [messages.slice(0, half), messages.slice(half)])
              await producer.send({
                topic,
                compression: CompressionTypes.GZIP,
                messages: some.map(({ key, value, headers }) => ({ partition, key, value, headers: byName(headers) })),
              })
          },
          drop: async () => {},
        }
      },
      unknownStream: () => kafka({ brokers, topic: unique('missing') }),
      // Port 1 of this machine: nobody listens there.
      unreachable: () => kafka({ brokers: ['127.0.0.1:1'], topic: 'any' }),
      close: async () => {
        await admin.deleteTopics({ topics })
        await Promise.all([admin.disconnect(), producer.disconnect()])
      },
    }
  }
  // kafkajs writes no header without a value; the unit tests of the reader do.
  verifySource(vitest, 'Kafka', open, { cannotHold: ['null header'] })
})

function byName(headers: HarnessMessage['headers']): IHeaders {
  const found: Record<string, Buffer[]> = {}
  for (const [name, value] of headers) found[name] = [...(found[name] ?? []), value!]
  return found
}
