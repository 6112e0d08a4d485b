import fc from 'fast-check'
import { expect, it } from 'vitest'
import { consumer, defineConfig } from '../../src/config/define.js'
import { parseConfig } from '../../src/config/parse.js'
import { kafka, kafkaOutput } from '../../src/entry/kafka.js'
import { postgresDatabase, postgresStore, postgresStream } from '../../src/entry/postgres.js'
import { rabbitmq } from '../../src/entry/rabbitmq.js'
import { transactional } from '../../src/handlers/handler.js'
import { isTidemarkError } from '../../src/model/errors.js'
import { json, text } from '../../src/reading/value.js'

type Tree = { [key: string]: unknown }

const connectionString = 'postgres://me:hunter2@db/bank'
const sasl = () => ({ mechanism: 'plain', username: 'me', password: 'hunter2' })
const cluster = { brokers: ['b:9092'], clientId: 'a', connectionTimeout: '3s', requestTimeout: '30s' }

/** Every option there is, as plain data; `make` turns it into a config. */
const valid = (): Tree => ({
  config: {
    temporal: { address: 'a:7233', namespace: 'n', apiKey: 'k', tls: { serverName: 's' } },
    taskQueue: 'q',
    memory: '32MB',
    connectTimeout: '60s',
    shutdownTimeout: '30s',
    errors: 'message',
  },
  store: { connectionString, schema: 's', poolSize: 5, ssl: { rejectUnauthorized: true, passphrase: 'p' } },
  transactional: {
    group: 'billing',
    version: 'v1',
    start: { timestamp: '2026-01-01' },
    commit: { everyN: 5 },
    onOutOfRange: 'fail',
    dedupe: { key: () => 'key', retention: '7d' },
    until: 'head',
    batch: { maxMessages: 20_000, maxDuration: '30s', idleGap: '2s', restAfter: '60s' },
    chunk: { maxMessages: 10_000, targetDuration: '2s', fetchBytes: '2MB' },
    chunkTimeout: '5m',
    concurrency: 10,
    slices: 4,
    heartbeatTimeout: '10s',
    errors: 'private',
    retry: { initialInterval: '1s', maximumInterval: '1m', backoff: 2 },
  },
  handler: { database: postgresDatabase({ connectionString }) },
  plain: { group: 'plain', handler: () => {}, commit: { periodic: '5s' }, start: { offset: 5 } },
  kafka: {
    ...cluster,
    topic: 't',
    value: json(),
    rackId: 'r',
    sasl: sasl(),
    readUncommitted: true,
    groupOffsets: false,
    fetchMaxWait: '500ms',
    decodeConcurrency: 4,
    decodeTimeout: '30s',
  },
  output: {
    ...cluster,
    sasl: sasl(),
    compression: 'gzip',
    deliveryTimeout: '30s',
    maxBuffered: '16MB',
    transactionTimeout: '60s',
  },
  rabbitmq: {
    host: 'h',
    port: 5552,
    username: 'u',
    password: 'p',
    vhost: 'v',
    stream: 's',
    value: text(),
    key: { header: 'h' },
    groupOffsets: true,
    connectionName: 'c',
    connectionTimeout: '5s',
    requestTimeout: '10s',
    heartbeat: '10s',
    decodeConcurrency: 4,
    decodeTimeout: '30s',
  },
  stream: { connectionString, stream: 's', partitions: 3, value: json(), pollInterval: '1s' },
})

function make(tree: Tree): void {
  const part = (name: string) => tree[name] as never
  const written = {
    ...(part('config') as Tree),
    store: postgresStore(part('store')),
    consumers: [
      consumer({
        ...(part('transactional') as Tree),
        source: kafka(part('kafka')),
        output: kafkaOutput(part('output')),
        handler: transactional(() => {}, part('handler')),
      } as never),
      consumer({ ...(part('plain') as Tree), source: rabbitmq(part('rabbitmq')) } as never),
      consumer({ group: 'other', handler: () => {}, source: postgresStream(part('stream')) }),
    ],
  }
  parseConfig(defineConfig(written as never), {})
}

type Path = readonly string[]
const isNode = (value: unknown): value is Tree =>
  typeof value === 'object' &&
  value !== null &&
  Object.getPrototypeOf(value) === Object.prototype &&
  !('decode' in value) &&
  !('connect' in value)

function pathsOf(tree: Tree, of: 'leaves' | 'nodes', above: Path = []): Path[] {
  return Object.entries(tree).flatMap(([key, value]) => {
    const path = [...above, key]
    if (!isNode(value)) return of === 'leaves' ? [path] : []
    return [...(of === 'nodes' ? [path] : []), ...pathsOf(value, of, path)]
  })
}

const nodeAt = (tree: Tree, path: Path): Tree => path.reduce((node, key) => node[key] as Tree, tree)

type Change = {
  readonly path: Path
  readonly what: 'add' | 'rename' | 'replace'
  readonly name: string
  readonly wrong: unknown
}

function changed({ path, what, name, wrong }: Change): Tree {
  const tree = valid()
  if (what === 'add') nodeAt(tree, path)[name] = 1
  else {
    const node = nodeAt(tree, path.slice(0, -1))
    const last = path.at(-1)!
    if (what === 'replace') node[last] = wrong
    else {
      node[`${last}${name}`] = node[last]
      delete node[last]
    }
  }
  return tree
}

/** What a leaf may be besides what it is: numbers beyond any limit and things of other kinds are never right. */
const wrongs = [
  Number.NaN,
  Number.NEGATIVE_INFINITY,
  -1,
  1e300,
  1.5e-9,
  null,
  '',
  [],
  {},
  Symbol('s'),
  10n ** 30n,
  () => 1,
  async () => 1,
] as const

/** The stated rules by which a replaced leaf is right. */
function isRight(path: Path, wrong: unknown): boolean {
  const field = path.at(-1)!
  // Any function may be a handler, a key, an end or a decoder, unless its kind tells that it can't; a handler and a decoder may be async.
  if (wrong === wrongs[11]) return ['handler', 'key', 'value', 'until'].includes(field)
  if (wrong === wrongs[12]) return ['handler', 'value'].includes(field)
  // No rack is what is without one. A password may be empty where the broker allows it.
  if (wrong === '') return field === 'rackId' || path.join('.') === 'rabbitmq.password'
  return false
}

const leaves = pathsOf(valid(), 'leaves')
const nodes = pathsOf(valid(), 'nodes')
const change: fc.Arbitrary<Change> = fc
  .record({
    what: fc.constantFrom('add' as const, 'rename' as const, 'replace' as const),
    name: fc.stringMatching(/^[a-zA-Z]{1,8}$/).map((text) => `${text}X`),
    wrong: fc.constantFrom(...wrongs),
    leaf: fc.constantFrom(...leaves),
    node: fc.constantFrom(...nodes),
  })
  .map(({ leaf, node, ...rest }) => ({ ...rest, path: rest.what === 'add' ? node : leaf }))

function problemOf(tree: Tree): unknown {
  try {
    make(tree)
    return null
  } catch (error) {
    return error
  }
}

it('a config of every option is taken', () => expect(problemOf(valid())).toBeNull())

it('a config with one mistake is never taken, and is refused with a message that names a field', () => {
  fc.assert(
    fc.property(change, (one) => {
      // TLS options that Node has and Tidemark does not know are passed on: only what looks like a misspelled one is refused.
      const isTls = one.path.includes('ssl') && one.what !== 'replace'
      fc.pre(!isTls && !(one.what === 'replace' && isRight(one.path, one.wrong)))
      const problem = problemOf(changed(one))
      if (!isTidemarkError(problem)) throw new Error(`not refused, but: ${String(problem)}`)
      expect(problem.code).toBe('CONFIG_INVALID')
      expect(problem.message).toMatch(/^[\w()[\].' ]+(\(\.\.\., [\w{} ]+\))?:? /)
      expect(problem.message).not.toContain('hunter2')
    }),
    { numRuns: 200 },
  )
})
