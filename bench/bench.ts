import { randomBytes } from 'node:crypto'
import { type Stack, startStack } from '../src/local/stack.js'
import { Child } from './child.js'
import { Effects, type Tally } from './effects.js'
import type { ContenderName, Job, Usage } from './job.js'
import { Topics } from './topics.js'

/** What one run of one contender came to. */
export interface Run extends Tally, Usage {
  readonly messages: number
  /** The same, with those of the warm-up: what the history is spread over. */
  readonly handled: number
  readonly msgsPerSecond: number
  readonly p50Ms: number | null
  readonly p99Ms: number | null
}

/** The parts a run needs, and how to tell people what goes on. */
export interface Bench {
  readonly effects: Effects
  readonly topics: Topics
  readonly partitions: number
  readonly say: (line: string) => void
  /** Gives the whole of one run its own group and table: `work` is called with the contender connected but not going. */
  contend<T>(contender: ContenderName, topic: string, work: (child: Child, table: string) => Promise<T>): Promise<T>
}

/** Starts the parts, hands them to `work`, and removes them again. */
export async function withBench(
  options: { readonly partitions: number; readonly say: (line: string) => void },
  work: (bench: Bench) => Promise<void>,
): Promise<void> {
  const { partitions, say } = options
  const stack = await startStack({ temporal: true, postgres: true, kafka: true }, { onProgress: say })
  try {
    const effects = await Effects.open(stack.postgres.connectionString)
    try {
      const topics = await Topics.connect(stack.kafka.brokers)
      try {
        const contend: Bench['contend'] = (contender, topic, work) =>
          contendOnce(jobOf(contender, topic, partitions, stack, effects), effects, work)
        await work({ effects, topics, partitions, say, contend })
      } finally {
        await topics.close()
      }
    } finally {
      await effects.close()
    }
  } finally {
    await stack.stop()
  }
}

async function contendOnce<T>(
  job: Job,
  effects: Effects,
  work: (child: Child, table: string) => Promise<T>,
): Promise<T> {
  await effects.createTable(job.table)
  const child = await Child.prepare(job)
  try {
    return await Promise.race([work(child, job.table), child.failure])
  } finally {
    child.kill()
    await effects.dropTable(job.table)
  }
}

function jobOf(contender: ContenderName, topic: string, partitions: number, stack: Stack, effects: Effects): Job {
  const name = `${contender.replace('+', '_')}_${randomBytes(4).toString('hex')}`
  const { address, namespace } = stack.temporal
  return {
    contender,
    brokers: stack.kafka.brokers,
    topic,
    partitions,
    group: name,
    connectionString: effects.connectionString,
    table: `effects_${name}`,
    temporal: { address, namespace },
  }
}
