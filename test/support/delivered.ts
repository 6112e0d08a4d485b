import { StoredOffsets } from '../../activities/committing/stored-offsets.js'
import { ErrorReports } from '../../activities/errors/reports.js'
import type { Deduplicator } from '../../activities/handling/dedupe.js'
import { type DeliverChunk, delivererOf } from '../../activities/handling/deliverer.js'
import type { ConsumerRuntime } from '../../activities/runtime.js'
import type { HandlerKind } from '../../src/handlers/handler.js'
import { MemoryProgress, type ProgressRow } from '../../src/memory/store/progress.js'
import { UserFailure } from '../../src/model/errors.js'
import type { ErrorTexts } from '../../src/model/settings.js'
import type { Chunk, Message, OutputProgressLog, OutputRecord } from '../../src/ports/index.js'
import { LogHeaders } from '../../src/reading/message.js'
import { claimFrom } from './claim.js'
import { rawOf } from './raw-of.js'
import { silentLog } from './silent-log.js'

export const key = { group: 'billing', stream: 'orders', partition: 3 }
export const token = { epoch: 2, batch: 5, attempt: 1 }
/** Where progress is before the first chunk. */
export const start = 10n

export const messageAt = (offset: bigint, value: unknown = { order: Number(offset) }): Message => ({
  ...key,
  offset,
  key: null,
  keyBytes: null,
  value,
  headers: new LogHeaders([]),
  timestamp: 0,
  idempotencyKey: `billing/orders/3/${offset}/0`,
})

/** A chunk from `start` on, with these values; the log goes on `gap` behind the last of them. */
export function chunkOf(values: readonly unknown[], gap = 0n): Chunk {
  const next = start + BigInt(values.length) + gap
  const messages = values.map((value, index) => messageAt(start + BigInt(index), value))
  return { from: start, next, messages, bytes: 0, head: next, raw: rawOf, release: () => {} }
}

interface Given {
  readonly handler: HandlerKind
  /** What the output does with records; it fails when this throws. */
  readonly send?: (records: readonly OutputRecord[]) => void | Promise<void>
  /** Outputs and progress are one transaction. */
  readonly transactional?: boolean
  readonly dedupe?: Pick<Deduplicator, 'admit'>
  readonly manual?: boolean
  readonly errors?: ErrorTexts
  /** Of the config. */
  readonly secrets?: readonly string[]
  /** The consumer's `chunkTimeout`, ms. */
  readonly timeoutMs?: number
}

/** What delivers chunks to a handler over progress in memory, which stands at `start`. */
export async function delivered({
  handler,
  send,
  transactional = false,
  dedupe,
  manual = false,
  errors = 'message',
  secrets = [],
  timeoutMs,
}: Given) {
  const rows = new Map<string, ProgressRow>()
  const written: unknown[] = []
  const memory = new MemoryProgress(rows, written)
  await claimFrom(memory, key, token, { from: start, replay: 0 })
  const log = silentLog()
  const [worker, partition] = [new AbortController(), new AbortController()]
  const sent: OutputRecord[] = []
  const take = async (records: readonly OutputRecord[]) => {
    await send?.(records)
    sent.push(...records)
  }
  const refuse = async () => {
    throw new Error('this output takes records in transactions')
  }
  const transactions = transactional ? withOutputs(memory, sent) : undefined
  const runtime = {
    handler,
    sql: memory,
    progress: transactions ?? memory,
    store: { commit: async () => ({ outcome: 'committed' }) },
    story: { committed: () => {} },
    settings: { commit: manual ? { after: 'manual', intervalMs: 60_000 } : { after: 'batch' } },
    log,
    errors: new ErrorReports({ ...key, errors }, secrets, log),
    stopped: worker.signal,
    ...(dedupe && { dedupe }),
    ...((send || transactional) && {
      output: {
        client: { send: transactional ? refuse : take },
        maxBufferedBytes: 1_000,
        ...(transactions && { transactions }),
      },
    }),
  } as unknown as ConsumerRuntime
  const stored = manual ? new StoredOffsets(runtime, { key, token, replay: 0 }, start) : undefined
  const delivering = delivererOf(runtime, {
    key,
    token,
    replay: 0,
    stopped: partition.signal,
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(stored && { stored }),
  })
  // As a batch does it, whose log this is.
  const deliver: DeliverChunk = (chunk) =>
    delivering(chunk).catch((thrown) => {
      const error = thrown instanceof UserFailure ? runtime.errors.failed(thrown) : thrown
      runtime.errors.reason(error, { ...key, attempt: token.attempt })
      throw error
    })
  const position = async () => (await memory.read(key))!.position
  /** A newer owner claims the partition. */
  const outdo = () => memory.claim(key, { ...token, epoch: token.epoch + 1 }, { replay: 0 })
  return { deliver, position, outdo, written, sent, log, worker, partition, stored }
}

/** Records are there when the transaction that sends them commits. */
function withOutputs(memory: MemoryProgress, sent: OutputRecord[]): OutputProgressLog {
  return {
    outranksStore: false,
    begin: (of, beginning) => memory.begin(of, beginning),
    read: (of) => memory.read(of),
    claim: (of, by, from) => memory.claim(of, by, from),
    raise: (of, by) => memory.raise(of, by),
    advance: (of, by, from, to, witness) => memory.advance(of, by, from, to, witness),
    transact: async (of, by, from, to, work, witness) => {
      const staged: OutputRecord[] = []
      const send = async (records: readonly OutputRecord[]) => void staged.push(...records)
      await memory.transact(of, by, from, to, () => work({ send }), witness)
      sent.push(...staged)
    },
  }
}
