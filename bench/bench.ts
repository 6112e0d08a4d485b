import { randomBytes } from 'node:crypto'
import { type Stack, startStack } from '../src/local/stack.js'
import type { TemporalAddress } from '../src/local/temporal.js'
import { Child } from './child.js'
import { Effects, type Tally } from './effects.js'
import type { ContenderName, Job, Usage } from './job.js'
import type { Log } from './log.js'
import { Streams } from './streams.js'
import { Topics } from './topics.js'

/** What one run of one contender came to. */
export interface Run extends Tally, Usage {
  readonly partitions: number
  readonly messages: number
  /** The same, with those of the warm-up: what the history is spread over. */
  readonly handled: number
  readonly msgsPerSecond: number
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly maxMs: number | null
}

/** The parts a run needs, and how to tell people what goes on. */
export interface Bench {
  readonly effects: Effects
  readonly log: Log
  readonly say: (line: string) => void
  readonly temporal: TemporalAddress
  /** Gives the whole of one run its own group and table: `work` is called with the contender connected but not going. */
  contend<T>(contender: ContenderName, topic: Topic, work: Work<T>, settings?: Job['settings']): Promise<T>
}

/** A topic of Kafka, or a super stream of RabbitMQ. */
export interface Topic {
  readonly name: string
  readonly partitions: number
}

type Work<T> = (child: Child, job: Job) => Promise<T>
type Say = Bench['say']

/**
 * Starts the parts with Kafka, hands them to `work`, and removes them again.
 *
 * @param own whether Temporal is started here even where the environment names a running one, which others may use
 */
export function withKafka(say: Say, work: (bench: Bench) => Promise<void>, own = false): Promise<void> {
  return withBench('kafka', (stack) => Topics.connect(stack.kafka.brokers), say, work, own)
}

/** The same with RabbitMQ. */
export function withRabbitmq(say: Say, work: (bench: Bench) => Promise<void>): Promise<void> {
  return withBench('rabbitmq', (stack) => Streams.connect(stack.rabbitmq.url), say, work)
}

/** One broker at a time: none takes memory and time from the runs with another. */
async function withBench(
  broker: 'kafka' | 'rabbitmq',
  connect: (stack: Stack) => Promise<Log>,
  say: Say,
  work: (bench: Bench) => Promise<void>,
  own = false,
): Promise<void> {
  const stack = await startStack({ temporal: { own }, postgres: true, [broker]: true }, { onProgress: say })
  try {
    const effects = await Effects.open(stack.postgres.connectionString)
    try {
      const log = await connect(stack)
      try {
        const contend: Bench['contend'] = (contender, topic, work, settings) =>
          contendOnce(jobOf(contender, log, topic, stack, effects, settings), effects, work)
        await work({ effects, log, say, temporal: stack.temporal, contend })
      } finally {
        await log.close()
      }
    } finally {
      await effects.close()
    }
  } finally {
    await stack.stop()
  }
}

/** Runs a contender in a process of its own, with a table of its own. */
async function contendOnce<T>(job: Job, effects: Effects, work: Work<T>): Promise<T> {
  await effects.createTable(job.table)
  const child = await Child.prepare(job)
  try {
    return await Promise.race([work(child, job), child.failure])
  } finally {
    child.kill()
    await effects.dropTable(job.table)
  }
}

function jobOf(
  contender: ContenderName,
  log: Log,
  topic: Topic,
  stack: Stack,
  effects: Effects,
  settings: Job['settings'],
): Job {
  const name = `${contender.replace('+', '_')}_${randomBytes(4).toString('hex')}`
  const { address, namespace } = stack.temporal
  return {
    contender,
    log: log.jobOf(topic.name),
    partitions: topic.partitions,
    ...(settings && { settings }),
    group: name,
    connectionString: effects.connectionString,
    table: `effects_${name}`,
    temporal: { address, namespace },
  }
}
