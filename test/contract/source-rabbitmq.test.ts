import * as vitest from 'vitest'
import { rabbitmq } from '../../src/entry/rabbitmq.js'
import { verifySource } from '../../src/testing/contracts/source.js'
import type { SourceHarness } from '../../src/testing/contracts/source-harness.js'
import { describeWith, part } from '../support/parts.js'
import { publish, rabbitmqClient } from '../support/rabbitmq-ground.js'
import { unique } from '../support/unique.js'

describeWith(['rabbitmq'], 'RabbitMQ', () => {
  const open = async (): Promise<SourceHarness> => {
    const { url } = part('rabbitmq')
    const client = await rabbitmqClient()
    return {
      createStream: async (partitions) => {
        const name = unique('contract')
        if (partitions === 1) await client.createStream({ stream: name, arguments: {} })
        else await client.createSuperStream({ streamName: name, arguments: {} }, undefined, partitions)
        const where = partitions === 1 ? { stream: name } : { superStream: name }
        return {
          name,
          source: (value) => rabbitmq({ url, ...where, ...(value ? { value } : {}) }),
          append: async (partition, values, { key, headers } = {}) => {
            const messages = values.map((value) => ({
              content: Buffer.from(JSON.stringify(value)),
              ...(key === undefined ? {} : { key }),
              ...(headers ? { headers } : {}),
            }))
            await publish(client, partitions === 1 ? name : `${name}-${partition}`, messages)
          },
          appendRaw: (_partition, messages) =>
            publish(
              client,
              name,
              messages.map(({ key, value, headers }) => ({
                content: value ?? Buffer.alloc(0),
                ...(key && { key: String(key) }),
                headers: Object.fromEntries(headers.map(([header, text]) => [header, text && String(text)])),
              })),
            ),
          drop: async () => {
            if (partitions === 1) await client.deleteStream({ stream: name })
            else await client.deleteSuperStream({ streamName: name })
          },
        }
      },
      unknownStream: () => rabbitmq({ url, stream: unique('missing') }),
      // Port 1 of this machine: nobody listens there.
      unreachable: () => rabbitmq({ url: 'rabbitmq-stream://someone:secret@127.0.0.1:1', stream: 'any' }),
      close: () => client.close(),
    }
  }
  // Its JavaScript client writes no more than these; what AMQP can say beside is in the unit tests.
  verifySource(vitest, 'RabbitMQ', open, {
    cannotHold: ['binary key', 'null value', 'repeated header', 'binary header'],
  })
})
