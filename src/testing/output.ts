import { TidemarkError } from '../model/errors.js'
import type { Output, OutputRecord } from '../ports/index.js'
import type { Life } from './life.js'

/** What a handler has produced. */
export interface ProducedMessage {
  readonly topic: string
  readonly key: string | null
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, string | null>>
}

/** Stands for the output of a consumer: it takes what handlers produce. */
export function testOutput(
  { maxBufferedBytes }: Output,
  life: Life,
  take: (records: readonly OutputRecord[]) => Promise<void>,
): Output {
  return {
    kind: 'memory',
    describe: {},
    maxBufferedBytes,
    connect: async () => ({
      send: async (records) => {
        if (life.killed) throw new TidemarkError('OUTPUT_FAILED', 'the worker was killed')
        await take(records)
      },
      close: async () => {},
    }),
  }
}

export function producedOf({ topic, key, value, headers }: OutputRecord): ProducedMessage {
  const texts = headers.map(([name, text]) => [name, text && String(text)] as const)
  return { topic, key: key && String(key), value, headers: Object.fromEntries(texts) }
}
