import { describe, expect, it } from 'vitest'
import { consumer, defineConfig } from '../../src/config/define.js'
import { parseConfig } from '../../src/config/parse.js'
import { transactional } from '../../src/handlers/handler.js'
import type { OffsetStore, Source } from '../../src/ports/index.js'

const connect = async (): Promise<never> => {
  throw new Error('a config opens no connection')
}
const database = { kind: 'postgres', describe: { host: 'db' }, connect }
const store: OffsetStore = { kind: 'postgres', describe: { host: 'db' }, database, connect }
const source: Source<{ id: string }> = { kind: 'kafka', stream: 'orders', describe: {}, connect }
const handler = transactional<{ id: string }>(() => {})
const key = ({ value }: { value: { id: string } }) => value.id

function parsed(change: object) {
  const options = { group: 'billing', source, handler, ...change }
  return parseConfig(defineConfig({ store, consumers: [consumer(options as never)] }), {}).consumers[0]!
}

describe('the option dedupe', () => {
  it('remembers keys for a week by default', () => {
    expect(parsed({ dedupe: { key } }).dedupe).toEqual({ key, retentionMs: 7 * 24 * 3_600_000 })
    expect(parsed({}).dedupe).toBeUndefined()
  })

  it.each([
    [{ dedupe: {} }, "consumers[0] (group 'billing').dedupe.key: must be a function from a message to its key"],
    [{ dedupe: { key, retention: 'long' } }, "dedupe.retention: 'long' is not a duration"],
    [{ dedupe: { key, retention: '36501d' } }, "dedupe.retention: '36501d' is too long: must be at most 36500d"],
    [{ dedupe: { key, ttl: '1d' } }, "dedupe: unknown option 'ttl'"],
    [{ dedupe: { key }, handler: () => {} }, "(group 'billing').dedupe: needs transactional(handler)"],
    [{ dedupe: { key }, commit: 'manual' }, "(group 'billing').dedupe: does not go with commit: manual()"],
  ])('refuses %j and says why', (change, problem) => {
    expect(() => parsed(change)).toThrow(problem)
  })

  it('is part of the version: another key function or retention is another config', () => {
    const versions = [
      {},
      { dedupe: { key } },
      { dedupe: { key, retention: '1d' } },
      { dedupe: { key: ({ value }: { value: { id: string } }) => `${value.id}!` } },
    ].map((change) => parsed(change).version)
    expect(new Set(versions).size).toBe(4)
    expect(parsed({ dedupe: { key, retention: '7d' } }).version).toBe(versions[1])
  })
})
