import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

const consumer = ['group', 'stream'] as const
const perPartition = [...consumer, 'partition'] as const

/**
 * Every metric of Tidemark's own, in the order of docs/metrics.md. What counts events stays for as long as the worker lives; gauges are
 * filled when they are read, and only from what the worker knows already.
 */
export function defineMetrics(registry: Registry) {
  const registers = [registry]
  return {
    messages: new Counter({
      name: 'tidemark_messages_total',
      help: 'Messages handled, with their effects and progress stored.',
      labelNames: consumer,
      registers,
    }),
    bytes: new Counter({
      name: 'tidemark_read_bytes_total',
      help: 'Bytes of messages that were read from the log and given to the handler, about.',
      labelNames: consumer,
      registers,
    }),
    chunkMessages: new Histogram({
      name: 'tidemark_chunk_messages',
      help: 'Messages in a chunk: in one call of the handler.',
      labelNames: consumer,
      buckets: [1, 10, 100, 1_000, 10_000],
      registers,
    }),
    handlerSeconds: new Histogram({
      name: 'tidemark_handler_seconds',
      help: 'Time that a chunk took in the handler, with storing its effects and progress. Chunks that failed are not in it.',
      labelNames: consumer,
      buckets: [0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
      registers,
    }),
    failures: new Counter({
      name: 'tidemark_failures_total',
      help: 'Failures of partitions, those that are retried and those that block, by error code. OTHER: thrown by none of Tidemark.',
      labelNames: [...consumer, 'code'] as const,
      registers,
    }),
    setAside: new Counter({
      name: 'tidemark_set_aside_total',
      help: 'Messages without a try left that did not stop their partition: dead letters, in a table or a topic, and skipped ones. Those that only came behind one are not counted.',
      labelNames: consumer,
      registers,
    }),
    redriven: new Counter({
      name: 'tidemark_redriven_total',
      help: 'Messages that were set aside and are handled now.',
      labelNames: consumer,
      registers,
    }),
    commits: new Counter({
      name: 'tidemark_commits_total',
      help: 'Offsets of partitions that the store has taken.',
      labelNames: consumer,
      registers,
    }),
    fences: new Counter({
      name: 'tidemark_fences_total',
      help: 'Times that this worker lost a partition to an owner with a newer epoch.',
      labelNames: consumer,
      registers,
    }),
    temporalActions: new Counter({
      name: 'tidemark_temporal_actions_total',
      help: 'Actions billed by Temporal Cloud that this worker has run or sent: tries of activities, and signals. Without heartbeats, timers, and what workflows cause.',
      labelNames: [...consumer, 'action'] as const,
      registers,
    }),
    partitions: new Gauge({
      name: 'tidemark_partitions',
      help: 'Partitions that this worker speaks for, by condition.',
      labelNames: [...consumer, 'condition'] as const,
      registers,
    }),
    condition: new Gauge({
      name: 'tidemark_partition_condition',
      help: 'Condition of a partition: 1 for the one it is in, 0 for the others.',
      labelNames: [...perPartition, 'condition'] as const,
      registers,
    }),
    position: new Gauge({
      name: 'tidemark_position',
      help: 'Offset of the next message to be handled.',
      labelNames: perPartition,
      registers,
    }),
    head: new Gauge({
      name: 'tidemark_head',
      help: 'Offset that the next message written will get, as last seen.',
      labelNames: perPartition,
      registers,
    }),
    lag: new Gauge({
      name: 'tidemark_lag',
      help: 'Offsets between position and head. Where offsets have gaps, there are fewer messages.',
      labelNames: perPartition,
      registers,
    }),
    lagSeconds: new Gauge({
      name: 'tidemark_lag_seconds',
      help: 'Age of the next message to be handled, by its timestamp; at most, between two chunks. 0 when caught up.',
      labelNames: perPartition,
      registers,
    }),
    headroom: new Gauge({
      name: 'tidemark_retention_headroom_seconds',
      help: 'Time between the oldest message of the log and the next one to be handled: at 0, retention deletes messages unread.',
      labelNames: perPartition,
      registers,
    }),
    bufferedBytes: new Gauge({
      name: 'tidemark_buffered_bytes',
      help: 'Memory taken by messages that were fetched and are not handled, and by fetches under way.',
      registers,
    }),
    bufferLimit: new Gauge({
      name: 'tidemark_buffer_limit_bytes',
      help: 'Memory that messages may take: the option memory.',
      registers,
    }),
    loopDelay: new Histogram({
      name: 'tidemark_event_loop_delay_seconds',
      help: 'The longest delay of the event loop within each second.',
      buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers,
    }),
    build: new Gauge({
      name: 'tidemark_build_info',
      help: 'The version of Tidemark, and of Node. Always 1.',
      labelNames: ['version', 'node'] as const,
      registers,
    }),
  }
}

export type Definitions = ReturnType<typeof defineMetrics>
