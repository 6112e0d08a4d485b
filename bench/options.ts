import { parseArgs } from 'node:util'

/** Partitions of every workload but those with many. */
export const fewPartitions = 4
/** Partitions of the workload whose partitions are at rest. */
export const restPartitions = 64
export const workloads = [
  'drain',
  'latency',
  'rest-latency',
  'many-partitions-drain',
  'rabbitmq-drain',
  'rabbitmq-latency',
] as const
export type Workload = (typeof workloads)[number]

export interface Options {
  /** Messages of the backlog. */
  readonly messages: number
  /** How long each latency is measured, seconds: 30, and less where few messages ask for a short run. */
  readonly latencySeconds: number
  /** Messages that each slice gets at rest: 20, and fewer in a short run. */
  readonly restRounds: number
  /** Partitions of the drain with many. */
  readonly partitions: number
  /** Times each contender runs each workload. */
  readonly rounds: number
  readonly workloads: readonly Workload[]
  /** Whether the drains have a third contender: Tidemark with an inbox. */
  readonly dedupe: boolean
  /** Instead of all that: counts billable actions, for so many minutes each. Null: not asked for. */
  readonly actions: { readonly minutes: number } | null
  /** Instead of all that: what poison costs. */
  readonly poison: boolean
  /** One JSON object a line instead of a table. */
  readonly json: boolean
}

export const help = `npm run bench -- [options]

Drains a backlog of messages of 200 bytes from Kafka into Postgres, from ${fewPartitions} partitions and from many, measures the latency of single
messages at 20 a second for 30 seconds (1 for each 10,000 --messages, if that is less), and does drain and latency with a super stream of
RabbitMQ, too: the plain client (kafkajs or rabbitmq-stream-js-client, hand-tuned) and Tidemark, by turns, each run in a process of its
own. Medians of the rounds. A drain's time includes the start of the group. The parts are started here unless KAFKA_BROKERS, RABBITMQ_URL,
DATABASE_URL and TEMPORAL_ADDRESS name running ones.

rest-latency is Tidemark's alone, once: 320 messages (fewer where few --messages ask for a short run) for partitions at rest. 16 slices of
${restPartitions} partitions come to rest after 1 s; each gets its messages one by one, 1 to 8 s after the last one was handled. It takes 2 minutes.

  --messages N              messages of the backlog (500000)
  --partitions N            partitions of the drain with many (256); rest-latency has ${restPartitions}, all others ${fewPartitions}
  --rounds N                runs of each contender (3)
  --only WORKLOAD           only this one: ${workloads.join(', ')}
  --dedupe                  the drains also with the option dedupe, a key for each message
  --json                    one JSON object a line for each contender and workload, then one of ratios
  --help                    this text

npm run bench -- --actions [--minutes N]

Counts what Temporal Cloud would bill, by the dev server's own count: a group at rest with 12, 256 and 1,024 partitions, one with one
busy slice, one with three (and what each of them adds), and one message a second over 256 partitions. With CPU (1 is one core) and memory
of the worker's process, and what 'tidemark cost' computes. One JSON object a line. Temporal is started here.

  --minutes N               how long each is measured (5)

npm run bench -- --poison [--messages N] [--rounds N]

Measures what messages cost that fail for good: one poison in the middle of the backlog against none, by turns; and one in every 1,000th message,
of 1,000 keys, which come back twice by themselves. One JSON object a line. Temporal is started here.

  --messages N              messages of the backlog (100000)
`

/** Reads the command line; null when help was asked for. Throws an error that names the option and what is allowed. */
export function parseOptions(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      messages: { type: 'string' },
      partitions: { type: 'string', default: '256' },
      rounds: { type: 'string', default: '3' },
      only: { type: 'string' },
      dedupe: { type: 'boolean', default: false },
      actions: { type: 'boolean', default: false },
      poison: { type: 'boolean', default: false },
      minutes: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return null
  const messages = count('messages', values.messages ?? (values.poison ? '100000' : '500000'))
  return {
    messages,
    latencySeconds: Math.min(30, Math.max(5, Math.floor(messages / 10_000))),
    restRounds: Math.min(20, Math.max(2, Math.floor(messages / 25_000))),
    partitions: count('partitions', values.partitions),
    rounds: count('rounds', values.rounds),
    workloads: values.only === undefined ? workloads : [workload(values.only)],
    dedupe: values.dedupe,
    actions: values.actions ? { minutes: count('minutes', values.minutes) } : null,
    poison: values.poison,
    json: values.json,
  }
}

function count(name: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`--${name} is "${text}"; it must be a whole number from 1`)
  return Number(text)
}

function workload(text: string): Workload {
  const found = workloads.find((name) => name === text)
  if (found !== undefined) return found
  throw new Error(`--only is "${text}"; it must be ${workloads.join(', ')}`)
}
