import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Client, Connection } from '@temporalio/client'
import { Kafka, logLevel } from 'kafkajs'
import pg from 'pg'
import { afterEach, expect, test, vi } from 'vitest'
import { type Stack, startStack } from '../../src/local/stack.js'
import { describeWith } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

describeWith(['temporal', 'postgres', 'kafka'], 'local stack', () => {
  let stack: Stack | undefined
  afterEach(async () => {
    vi.unstubAllEnvs()
    await stack?.stop()
    stack = undefined
  })

  test('addresses in the environment win: nothing is started, and nothing of theirs can be stopped', async () => {
    vi.stubEnv('TEMPORAL_ADDRESS', 'temporal.example:7233')
    vi.stubEnv('TEMPORAL_NAMESPACE', 'orders')
    vi.stubEnv('DATABASE_URL', 'postgresql://db.example/orders')
    vi.stubEnv('KAFKA_BROKERS', 'one.example:9092, two.example:9092')
    vi.stubEnv('RABBITMQ_URL', 'rabbitmq-stream://rabbit.example:5552')
    vi.stubEnv('RABBITMQ_MANAGEMENT_URL', '')
    // With nothing on PATH, anything that would have to be looked for fails.
    vi.stubEnv('PATH', '')
    stack = await startStack({ temporal: true, postgres: true, kafka: true, rabbitmq: true })
    expect(stack.temporal).toMatchObject({ address: 'temporal.example:7233', namespace: 'orders', uiUrl: null })
    expect(stack.postgres.connectionString).toBe('postgresql://db.example/orders')
    expect(stack.kafka).toMatchObject({ brokers: ['one.example:9092', 'two.example:9092'], home: null })
    expect(stack.rabbitmq).toMatchObject({ url: 'rabbitmq-stream://rabbit.example:5552', managementUrl: null })
    for (const part of [stack.temporal, stack.postgres, stack.kafka, stack.rabbitmq]) {
      await expect(part.kill()).rejects.toThrow('not started here')
    }
  })

  test('a part that was not asked for is an error, not undefined', async () => {
    stack = await startStack({})
    expect(() => stack?.kafka).toThrow('started without kafka')
  })

  test('Postgres keeps what was committed through kill -9 and a restart', async () => {
    stack = await startStack({ postgres: { own: true } })
    const { connectionString } = stack.postgres
    await query(connectionString, 'create table kept as select 1 as one')
    await stack.postgres.kill()
    await expect(query(connectionString, 'select 1')).rejects.toThrow()
    await stack.postgres.restart()
    expect(await query(connectionString, 'select one from kept')).toEqual([{ one: 1 }])
  })

  test('a paused Postgres answers nobody, open sessions included, until it is resumed', async () => {
    stack = await startStack({ postgres: { own: true } })
    const client = new pg.Client({ connectionString: stack.postgres.connectionString })
    await client.connect()
    await stack.postgres.pause()
    let answered = false
    const answer = client.query('select 1').then(() => {
      answered = true
    })
    // A whole second connection attempt times out meanwhile; a running server answers within a millisecond.
    const second = new pg.Client({ connectionString: stack.postgres.connectionString, connectionTimeoutMillis: 500 })
    await expect(second.connect()).rejects.toThrow('timeout')
    expect(answered).toBe(false)
    await stack.postgres.resume()
    await answer
    await client.end()
  })

  test('a persisted Temporal keeps its workflows through kill -9 and a restart', async () => {
    stack = await startStack({ temporal: { own: true, persist: true } })
    const { address, namespace } = stack.temporal
    const workflowId = unique('kept')
    await withTemporal(address, async (connection) => {
      const client = new Client({ connection, namespace })
      await client.workflow.start('nobody', { workflowId, taskQueue: 'nobody' })
    })
    await stack.temporal.kill()
    await stack.temporal.restart()
    await withTemporal(address, async (connection) => {
      const found = await new Client({ connection, namespace }).workflow.getHandle(workflowId).describe()
      expect(found.status.name).toBe('RUNNING')
    })
  })

  test('Kafka keeps its messages through kill -9 and a restart, and is silent while paused', async () => {
    stack = await startStack({ kafka: { own: true } })
    const kafka = new Kafka({
      brokers: [...stack.kafka.brokers],
      logLevel: logLevel.NOTHING,
      requestTimeout: 1_000,
      retry: { retries: 0 },
    })
    const topic = unique('kept')
    const send = async () => {
      const producer = kafka.producer()
      await producer.connect()
      try {
        await producer.send({ topic, acks: -1, messages: [{ value: 'kept' }] })
      } finally {
        await producer.disconnect()
      }
    }
    const admin = kafka.admin()
    await admin.connect()
    await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: false })
    await waitFor(() => send().then(() => true), { what: 'the topic to take messages' })

    await stack.kafka.pause()
    await expect(admin.fetchTopicOffsets(topic)).rejects.toThrow()
    await stack.kafka.resume()
    await admin.disconnect()

    await stack.kafka.kill()
    await stack.kafka.restart()
    const again = kafka.admin()
    await again.connect()
    const offsets = await waitFor(() => again.fetchTopicOffsets(topic), {
      what: 'the partition to have its leader back',
    })
    await again.disconnect()
    expect(offsets).toMatchObject([{ partition: 0, offset: '1' }])
  })

  test('after kill -9 of the parent every server is gone, with its data', async () => {
    // Servers run as other users look into it, too.
    const temporary = await mkdtemp(join(tmpdir(), 'stack-test-'))
    await chmod(temporary, 0o755)
    const { parent, addresses } = await launch(temporary)
    const ports = Object.values(addresses).map((address) => Number(/:(\d+)(\/\w+)?$/.exec(address)?.[1]))
    expect(ports).toHaveLength(4)
    for (const port of ports) expect(await answers(port)).toBe(true)

    parent.kill('SIGKILL')
    for (const port of ports) {
      await waitFor(async () => !(await answers(port)), { what: `port ${port} to be closed`, timeout: 30_000 })
    }
    const empty = async () => (await readdir(temporary)).filter((name) => name.startsWith('tidemark-')).length === 0
    await waitFor(empty, { what: 'the temporary folders to be gone', timeout: 30_000 })
    await rm(temporary, { recursive: true })
  })

  test.runIf(process.platform === 'linux')('servers listen on 127.0.0.1 and nowhere else', async () => {
    stack = await startStack({
      temporal: { own: true },
      postgres: { own: true, durable: false },
      kafka: { own: true },
    })
    const listening = await listeningBelow(process.pid)
    expect(listening.length).toBeGreaterThanOrEqual(5)
    // 127.0.0.1 as such, and as an IPv4 address in an IPv6 socket, which is how Java binds it.
    expect(listening.filter((address) => !/^(0{16}FFFF0000)?0100007F:/.test(address))).toEqual([])
  })
})

/** Runs `npm run stack` as a process of its own, until it has printed its addresses. */
async function launch(temporary: string): Promise<{ parent: ChildProcess; addresses: Record<string, string> }> {
  const { TEMPORAL_ADDRESS: _t, DATABASE_URL: _d, KAFKA_BROKERS: _k, ...environment } = process.env
  const parent = spawn(
    process.execPath,
    ['--import', 'tsx', '--conditions=tidemark-source', 'src/local/main.ts', '--json'],
    { cwd: root, env: { ...environment, NODE_OPTIONS: '', TMPDIR: temporary }, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const [line] = (await once(createInterface({ input: parent.stdout! }), 'line')) as [string]
  const { TEMPORAL_NAMESPACE: _namespace, ...addresses } = JSON.parse(line) as Record<string, string>
  return { parent, addresses }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1')
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}

/** Addresses on which a process's descendants listen, as Linux writes them. */
async function listeningBelow(ancestor: number): Promise<string[]> {
  const family = [ancestor]
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const parents = new Map<number, number>()
  for (const pid of processes) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
    parents.set(pid, Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]))
  }
  for (const one of family) for (const [pid, parent] of parents) if (parent === one) family.push(pid)
  const open = await Promise.all(
    family.slice(1).map(async (pid) => {
      const files = await readdir(`/proc/${pid}/fd`).catch(() => [])
      return Promise.all(files.map((file) => readlink(`/proc/${pid}/fd/${file}`).catch(() => '')))
    }),
  )
  const theirs = new Set(open.flat())
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8').catch(() => '')))
  const sockets = tables.flatMap((table) => table.split('\n').map((line) => line.trim().split(/\s+/)))
  const isListening = (fields: string[]) => fields[3] === '0A' && theirs.has(`socket:[${fields[9]}]`)
  return sockets.filter(isListening).map((fields) => fields[1]!)
}

async function query(connectionString: string, statement: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    return (await client.query(statement)).rows
  } finally {
    await client.end()
  }
}

async function withTemporal(address: string, use: (connection: Connection) => Promise<void>): Promise<void> {
  const connection = await Connection.connect({ address })
  try {
    await use(connection)
  } finally {
    await connection.close()
  }
}
