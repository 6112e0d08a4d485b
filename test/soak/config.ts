import { createConnection } from 'node:net'
import { consumer, defineConfig, type Message, type Source, type TidemarkConfig, transactional } from 'tidemark'
import { kafka } from 'tidemark/kafka'
import { postgresStore, postgresStream } from 'tidemark/postgres'
import { rabbitmq } from 'tidemark/rabbitmq'
import type { Leak, Places } from './orders.js'

/** Partitions of each stream. RabbitMQ's are plain streams, which have one. */
export const partitions = { kafka: 4, postgres: 2, rabbitmq: 1 } as const
export type LogKind = keyof typeof partitions
export const logs = Object.keys(partitions) as LogKind[]

/** Every so many messages one fails the first time, and is tried again. */
export const failsEvery = 500

/** A group that always has something to do, or never. */
export interface SoakGroup {
  readonly group: string
  readonly log: LogKind
  readonly stream: string
  readonly busy: boolean
}

export function groupsOf({ name }: Places): SoakGroup[] {
  return logs.flatMap((log) =>
    [true, false].map((busy) => {
      const group = `${busy ? 'busy' : 'idle'}-${log}`
      return { group, log, stream: `${name}-${group}`, busy }
    }),
  )
}

interface Value {
  readonly id: number
}

/** @param onHandled told of each chunk, before its effects are committed */
export function soakConfig(
  places: Places,
  version: string,
  leak: Leak | null = null,
  onHandled: (group: string, messages: number) => void = () => {},
): TidemarkConfig {
  const { databaseUrl: connectionString, temporal, name } = places
  const leaking = leakOf(leak, connectionString)
  return defineConfig({
    store: postgresStore({ connectionString, poolSize: 10 }),
    temporal,
    taskQueue: name,
    consumers: groupsOf(places).map(({ group, log, stream }) => {
      // The last message that failed in each partition. It is tried again, and goes well then.
      const failed = new Map<number, number>()
      const handle = async (messages: readonly Message<Value>[]) => {
        const { partition } = messages[0]!
        // The last one: a chunk fails once, however many it has. A group that is behind has large ones.
        const failing = messages.findLast(
          ({ value: { id } }) => id % failsEvery === 0 && id > (failed.get(partition) ?? 0),
        )
        if (failing) {
          failed.set(partition, failing.value.id)
          throw new Error('fails now and then')
        }
        leaking(messages.length)
        onHandled(group, messages.length)
      }
      return consumer<Value>({
        group,
        version,
        source: sourceOf(places, log, stream),
        // Many batches in a short time: more happens when one begins and ends than within it.
        batch: { maxDuration: '2s', idleGap: '500ms', restAfter: '2s' },
        retry: { initialInterval: '200ms' },
        heartbeatTimeout: '5s',
        // A plain handler for one of the logs.
        handler:
          log === 'rabbitmq'
            ? handle
            : transactional(async (messages, { tx, partition }) => {
                await tx.query('update soak_effects set n = n + $1 where "group" = $2 and partition = $3', [
                  messages.length,
                  group,
                  partition,
                ])
                await handle(messages)
              }),
      })
    }),
  })
}

function sourceOf({ brokers, databaseUrl, rabbitmqUrl }: Places, log: LogKind, stream: string): Source<Value> {
  if (log === 'kafka') return kafka<Value>({ brokers, topic: stream })
  if (log === 'postgres') return postgresStream<Value>({ connectionString: databaseUrl, stream })
  return rabbitmq<Value>({ url: rabbitmqUrl, stream })
}

const forgotten: unknown[] = []
const shared = new AbortController()

/** Called for each chunk, with how many messages it has. */
function leakOf(leak: Leak | null, databaseUrl: string): (messages: number) => void {
  if (leak === 'listener') return () => shared.signal.addEventListener('abort', () => {})
  if (leak === 'message')
    return (messages) => void forgotten.push(...Array.from({ length: messages }, () => new Array(128).fill(0)))
  if (leak === 'timer') return () => void setTimeout(() => {}, 2 ** 30)
  if (leak === 'socket') {
    const { hostname, port } = new URL(databaseUrl)
    let chunks = 0
    return () => {
      if (chunks++ % 20 === 0) createConnection(Number(port), hostname).on('error', () => {})
    }
  }
  return () => {}
}
