import * as vitest from 'vitest'
import { MemoryLog } from '../../src/memory/source/log.js'
import { memorySource } from '../../src/memory/source/source.js'
import { TidemarkError } from '../../src/model/errors.js'
import type { Source } from '../../src/ports/index.js'
import { decodingOf } from '../../src/reading/late-value.js'
import type { ValueOption } from '../../src/reading/value.js'
import { verifySource } from '../../src/testing/contracts/source.js'
import { unique } from '../support/unique.js'

const limits = { decodeConcurrency: 16, decodeTimeoutMs: 30_000 }

verifySource(vitest, 'memory', async () => ({
  createStream: async (partitions) => {
    const log = new MemoryLog(unique('contract'), partitions)
    return {
      name: log.stream,
      source: <V>(value?: ValueOption<V>) => memorySource(log, decodingOf<V>(value, limits)),
      append: async (partition, values, { key, headers = {} } = {}) => {
        const named = Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)] as const)
        const record = (value: unknown) => ({
          key: key === undefined ? null : Buffer.from(key),
          value: Buffer.from(JSON.stringify(value)),
          headers: named,
          timestamp: Date.now(),
        })
        log.append(partition, values.map(record))
      },
      appendRaw: async (partition, messages) =>
        void log.append(
          partition,
          messages.map((message) => ({ ...message, timestamp: Date.now() })),
        ),
      drop: async () => log.drop(),
    }
  },
  unknownStream: () => {
    const log = new MemoryLog(unique('missing'), 1)
    log.drop()
    return memorySource(log, decodingOf(undefined, limits))
  },
  // This process is always there: a source that fails in the same way stands for one that is not.
  unreachable: (): Source => ({
    ...memorySource(new MemoryLog('any', 1), decodingOf(undefined, limits)),
    connect: () => Promise.reject(new TidemarkError('UNREACHABLE', 'there is no such process')),
  }),
}))
