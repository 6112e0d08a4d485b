import { kafkaOutput, text } from '../../src/entry/kafka.js'
import type { PartitionKey } from '../../src/model/partition.js'
import type { OutputProgressLog, OutputTransaction } from '../../src/ports/index.js'
import { KafkaGround, readTo } from '../support/kafka-ground.js'
import { describeWith, part } from '../support/parts.js'
import { silentLog } from '../support/silent-log.js'
import { unique } from '../support/unique.js'
import { type ProgressHarness, progressContract } from './progress-contract.js'

describeWith(['kafka'], 'Kafka', () => {
  progressContract('Kafka', openHarness)
})

async function openHarness(): Promise<ProgressHarness<OutputTransaction>> {
  const { brokers } = part('kafka')
  const ground = await KafkaGround.on(brokers)
  const topic = await ground.topic()
  const source = await ground.topic()
  const reader = await ground.connect({ topic, value: text() })
  const group = unique('group')
  let from = 0n
  /** The suite's names are the same in every test, and the broker keeps what was stored under them; the topic has one partition. */
  const own = (key: PartitionKey) => ({ group: `${group}-${key.group}-${key.partition}`, stream: source, partition: 0 })
  const write = (tx: OutputTransaction, effects: readonly number[], to = topic) =>
    tx.send(effects.map((n) => ({ topic: to, key: null, value: Buffer.from(String(n)), headers: [] })))
  return {
    connect: async () => {
      const client = await kafkaOutput({ brokers }).connect({
        log: silentLog(),
        signal: new AbortController().signal,
      })
      const kafka = client.progress!
      const progress: OutputProgressLog = {
        ...kafka,
        begin: (key, beginning) => kafka.begin(own(key), beginning),
        read: (key) => kafka.read(own(key)),
        claim: (key, token, start) => kafka.claim(own(key), token, start),
        raise: (key, token) => kafka.raise(own(key), token),
        advance: (key, ...rest) => kafka.advance(own(key), ...rest),
        transact: (key, ...rest) => kafka.transact(own(key), ...rest),
      }
      return { progress, close: () => client.close() }
    },
    write,
    spoil: (tx) => write(tx, [0], 'there-is-no-such-topic'),
    effects: async () => {
      const { messages } = await readTo(reader, topic, { from })
      return messages.map(({ value }) => Number(value)).sort((a, b) => a - b)
    },
    clear: async () => {
      from = (await reader.bounds([0])).get(0)!.head
    },
    runs: 25,
    close: () => ground.close(),
  }
}
