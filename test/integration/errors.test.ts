import { Kafka, logLevel } from 'kafkajs'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Project, type Ran } from '../support/cli.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

/** Nothing listens there. */
const nowhere = '127.0.0.1:1'

describeWith(['temporal', 'postgres', 'kafka'], 'a mistake of the user is a sentence that says what to do', () => {
  let database: FreshDatabase
  let project: Project
  const topic = unique('deposits')

  beforeAll(async () => {
    database = await freshDatabase()
    project = await Project.create({
      DATABASE_URL: database.connectionString,
      KAFKA_BROKERS: part('kafka').brokers.join(','),
    })
    await createTopic(topic, 2)
  })
  afterAll(async () => {
    await project.close()
    await database.drop()
  })

  const start = async (config: string, env: NodeJS.ProcessEnv = {}): Promise<Ran> => {
    await project.write('tidemark.config.ts', config)
    return project.run(['start'], env)
  }

  it('names a topic that does not exist, and how to create it', async () => {
    const missing = unique('missing')
    const ran = await start(configOf({ topic: missing }))
    expect(ran.stderr).toContain(`has no topic '${missing}': create it`)
    refused(ran, 1)
  })

  it.each([
    ['Kafka', { KAFKA_BROKERS: nowhere }, "are 'brokers' right"],
    ['Postgres', { DATABASE_URL: `postgres://someone:secret-word@${nowhere}/bank` }, 'is the address right'],
    ['Temporal', { TEMPORAL_ADDRESS: nowhere }, 'is temporal.address (or TEMPORAL_ADDRESS) right'],
  ])('waits for %s, saying so, then names its address', async (name, env, hint) => {
    const ran = await start(configOf({ topic }), env)
    const waiting = ran.stderr.split('\n').filter((line) => line.includes('"waiting ('))
    expect(waiting.length).toBeGreaterThan(0)
    expect(waiting[0]).toContain(`${name} at ${nowhere}`)
    expect(lastLine(ran)).toContain(`tidemark: ${name} at ${nowhere} can't be reached`)
    expect(lastLine(ran)).toContain(hint)
    expect(lastLine(ran)).toMatch(/\(tried for \d s; connectTimeout sets how long\)$/)
    expect(ran.stderr).not.toContain('secret-word')
    refused(ran, 1)
  })

  it('gives up waiting at once when it is told to end', async () => {
    await project.write('tidemark.config.ts', configOf({ topic }).replace("'3s'", "'10m'"))
    const waiting = project.start(['start'], { KAFKA_BROKERS: nowhere })
    await waiting.said(`Kafka at ${nowhere} can't be reached`)
    refused(await waiting.stop(), 1)
  })

  it('names a status that Temporal can not be asked for', async () => {
    await project.write('tidemark.config.ts', configOf({ topic }))
    const ran = await project.run(['status'], { TEMPORAL_ADDRESS: nowhere })
    expect(lastLine(ran)).toContain(`tidemark: Temporal at ${nowhere} can't be reached`)
    refused(ran, 1)
  })

  it('names a Temporal namespace that does not exist', async () => {
    const ran = await start(configOf({ topic }), { TEMPORAL_NAMESPACE: 'nobody-made-it' })
    expect(lastLine(ran)).toContain("has no namespace 'nobody-made-it': create it")
    expect(lastLine(ran)).toContain('or correct temporal.namespace (or TEMPORAL_NAMESPACE)')
    refused(ran, 2)
  })

  it('names every wrong field of a config, what stands there and what is allowed', async () => {
    const ran = await start(
      configOf({ topic, more: "concurency: 3, heartbeatTimeout: 'soon', batch: { maxMessages: 0 }" }),
    )
    expect(ran.stderr).toContain('.batch.maxMessages: must be at least 1')
    expect(ran.stderr).toContain("'soon' is not a duration; use '250ms'")
    expect(ran.stderr).toContain("unknown option 'concurency'; check its spelling")
    refused(ran, 2)
  })

  it('names a config file that is not there', async () => {
    const ran = await project.run(['start', '--config', 'nothing.config.ts'])
    expect(ran.stderr).toMatch(/^tidemark: there is no config file \S+nothing\.config\.ts\n$/)
    refused(ran, 2)
  })

  it('says how to write a config where there is none', async () => {
    const empty = await Project.create()
    const ran = await empty.run(['start'])
    await empty.close()
    expect(ran.stderr).toMatch(/^tidemark: no tidemark\.config\.ts in \S+; write one, or name it with --config\n$/)
    refused(ran, 2)
  })

  it('asks for the default export of a config that has none', async () => {
    const ran = await start(configOf({ topic }).replace('export default', 'export const config ='))
    expect(ran.stderr).toContain('tidemark.config.ts must have defineConfig({...}) as its default export')
    refused(ran, 2)
  })

  it.each([
    [
      'does not parse',
      'export default {',
      /tidemark\.config\.ts does not load: .*config\.ts:1:16: ERROR: Expected identifier/s,
    ],
    ['throws', 'const a: any = {}\na.b.c()\n', /tidemark\.config\.ts does not load: .*\(line 2\)/],
    ['imports what is not installed', "import 'left-pad'\n", /does not load: Cannot find package 'left-pad'/],
  ])('says where a config %s', async (_, text, said) => {
    const ran = await start(text)
    expect(ran.stderr).toMatch(said)
    refused(ran, 2)
  })

  it('refuses two consumers of one group on one stream', async () => {
    const one = consumerOf({ topic })
    const ran = await start(configOf({ consumers: [one, one] }))
    expect(ran.stderr).toContain(
      `consumers[0] and consumers[1] are the same group 'bank' on the same stream '${topic}'`,
    )
    expect(ran.stderr).toContain('give one of them another group')
    refused(ran, 2)
  })

  it('refuses a handler that is no function', async () => {
    const ran = await start(configOf({ topic, handler: "'book.ts'" }))
    expect(ran.stderr).toContain("consumers[0] (group 'bank').handler: must be a function, or transactional(function)")
    refused(ran, 2)
  })

  it('asks whether DATABASE_URL is set when it is not', async () => {
    const ran = await start(configOf({ topic }), { DATABASE_URL: undefined })
    expect(ran.stderr).toBe('tidemark: postgresStore.connectionString: must be a Postgres URL; is DATABASE_URL set?\n')
    refused(ran, 2)
  })

  it('does not wait for a wrong password to become right, and does not show it', async () => {
    const url = new URL(database.connectionString)
    url.password = 'secret-word'
    const ran = await start(configOf({ topic }), { DATABASE_URL: url.href })
    expect(ran.stderr).toMatch(/^tidemark: Postgres at \S+ refused: .*check the user, its password and its rights\n$/)
    expect(ran.stdout + ran.stderr).not.toContain('secret-word')
    refused(ran, 1)
  })

  it('refuses a log level that there is not', async () => {
    const ran = await start(configOf({ topic }), { LOG_LEVEL: 'loud' })
    expect(ran.stderr).toContain("LOG_LEVEL is 'loud'; use one of trace, debug, info")
    refused(ran, 2)
  })

  it.each([
    ['command', ['strat'], "unknown command 'strat'\n(Did you mean start?)\nRun 'tidemark --help'"],
    ['option', ['status', '--jsn'], "unknown option '--jsn'\n(Did you mean --json?)\nRun 'tidemark status --help'"],
    [
      'partition',
      ['pause', '--partition', 'x'],
      "a partition is a whole number from 0 up\nRun 'tidemark pause --help'",
    ],
  ])('points to the help for a wrong %s', async (_, args, said) => {
    const ran = await project.run(args)
    expect(ran.stderr).toContain(said)
    refused(ran, 2)
  })

  it('shows its version, and in the help of each command examples and exit codes', async () => {
    expect((await project.run(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+/)
    for (const command of [[], ['start'], ['status'], ['pause'], ['resume'], ['migrate']]) {
      const { code, stdout } = await project.run([...command, '--help'])
      expect(code).toBe(0)
      expect(stdout).toContain(`\n  $ tidemark ${command.join(' ')}`)
      expect(stdout).toContain('Exit codes: 0 done, 1 failed, 2 wrong')
    }
  })
})

describeWith(['temporal', 'postgres', 'kafka'], 'a running group', () => {
  let database: FreshDatabase
  let project: Project
  const topic = unique('deposits')

  beforeAll(async () => {
    database = await freshDatabase()
    project = await Project.create({
      DATABASE_URL: database.connectionString,
      KAFKA_BROKERS: part('kafka').brokers.join(','),
    })
    await createTopic(topic, 2)
    await query(database, 'create table booked (log_offset bigint, value text)')
  })
  afterAll(async () => {
    await project.close()
    await database.drop()
  })

  it('stops in front of a value it can not decode, says why, and goes on after a fix with nothing lost', async () => {
    const queue = unique('queue')
    await send(topic, 0, ['{"amount": 1}', '{"amount": 2}', 'amount=3', '{"amount": 4}'])
    const handler = book('JSON.stringify(value)')
    await project.write('tidemark.config.ts', configOf({ topic, handler, queue }))
    const worker = project.start(['start'])
    await worker.said(`running: group bank reads ${topic}, 2 partitions, config `)
    expect(worker.stderr).toContain(`connected to Temporal at ${part('temporal').address}`)

    const blocked = await waitFor(async () => (await statusOf(project)).find(({ state }) => state === 'blocked'), {
      what: 'the partition to be blocked',
      timeout: 60_000,
    })
    expect(blocked.partition).toBe(0)
    expect(blocked.position).toBe('2')
    expect(blocked.reason).toContain(`${topic}[0] offset 2: the value (8 bytes) can't be decoded as json`)
    expect(blocked.reason).not.toContain('amount=3')
    expect(await booked(database)).toEqual(['{"amount":1}', '{"amount":2}'])
    expect((await worker.stop()).code).toBe(0)

    await project.write('tidemark.config.ts', configOf({ topic, handler: book('value'), queue, value: 'text()' }))
    const fixed = project.start(['start'])
    await waitFor(async () => (await booked(database)).length === 4, { what: 'all four to be booked', timeout: 60_000 })
    expect((await booked(database)).slice(2)).toEqual(['amount=3', '{"amount": 4}'])
    await waitFor(async () => (await statusOf(project)).every(({ state }) => state === 'running'), {
      what: 'all partitions to run',
    })
    expect((await fixed.stop()).code).toBe(0)
  })

  it('is paused and resumed by the command line, which refuses groups and partitions that there are not', async () => {
    const other = unique('deposits')
    await createTopic(other, 3)
    await project.write('tidemark.config.ts', configOf({ topic: other, queue: unique('queue') }))

    const early = await project.run(['pause', '--reason', 'too early'])
    expect(early.stderr).toBe(
      `tidemark: no group 'bank' runs on stream '${other}' in this Temporal namespace; start it with 'tidemark start'\n`,
    )
    refused(early, 1)

    const worker = project.start(['start'])
    await worker.said('running: group bank')
    await waitFor(async () => (await statusOf(project)).length === 3, { what: 'three partitions', timeout: 60_000 })

    const stranger = await project.run(['pause', '--group', 'banc'])
    expect(stranger.stderr).toBe(`tidemark: the config has no such group; it has bank on ${other}\n`)
    refused(stranger, 1)
    for (const command of ['pause', 'resume']) {
      const beyond = await project.run([command, '--partition', '7'])
      expect(beyond.stderr).toBe(`tidemark: ${other} has no partition 7; this group has 0 to 2\n`)
      refused(beyond, 1)
    }

    const paused = await project.run(['pause', '--partition', '1', '--reason', 'bad deploy'])
    expect(paused).toEqual({ code: 0, stdout: `bank on ${other}: partition 1 paused\n`, stderr: '' })
    const [, second, third] = await waitForStates(['running', 'paused', 'running'])
    expect(second?.reason).toBe('bad deploy')
    expect(third?.reason).toBe('')
    const shown = await project.run(['status'])
    expect(shown.stdout).toMatch(/\n +1 +paused .*bad deploy\n/)

    expect((await project.run(['pause', '-g', 'bank'])).stdout).toBe(`bank on ${other}: all 3 partitions paused\n`)
    await waitForStates(['paused', 'paused', 'paused'])
    expect((await project.run(['resume'])).stdout).toBe(`bank on ${other}: all 3 partitions running\n`)
    await waitForStates(['running', 'running', 'running'])

    await worker.stop()
    const alone = await project.run(['status'])
    expect(alone.stderr).toMatch(/^tidemark: no worker answers for group 'bank' on stream '\S+': is one running\?/)
    refused(alone, 1)
  })

  function waitForStates(wanted: readonly string[]): Promise<readonly PartitionLine[]> {
    return waitFor(
      async () => {
        const partitions = await statusOf(project)
        return partitions.map(({ state }) => state).join() === wanted.join() && partitions
      },
      { what: `the states ${wanted.join()}`, timeout: 60_000 },
    )
  }
})

interface PartitionLine {
  readonly partition: number
  readonly state: string
  readonly reason: string
  readonly position?: string
}

async function statusOf(project: Project): Promise<readonly PartitionLine[]> {
  const { stdout, stderr } = await project.run(['status', '--json'])
  if (stdout === '') throw new Error(stderr)
  return (JSON.parse(stdout) as { partitions: PartitionLine[] }[])[0]!.partitions
}

interface Written {
  readonly topic?: string
  readonly handler?: string
  readonly value?: string
  readonly more?: string
}

function consumerOf({ topic, handler = 'async () => {}', value = 'json()', more = '' }: Written): string {
  const source = `kafka({ brokers: process.env.KAFKA_BROKERS!.split(','), topic: '${topic}', value: ${value} })`
  return `consumer({ group: 'bank', source: ${source}, handler: ${handler}, ${more} })`
}

function configOf(written: Written & { readonly consumers?: string[]; readonly queue?: string }): string {
  return `
    import { consumer, defineConfig, transactional } from 'tidemark'
    import { json, kafka, text } from 'tidemark/kafka'
    import { postgresStore } from 'tidemark/postgres'

    export default defineConfig({
      store: postgresStore({ connectionString: process.env.DATABASE_URL }),
      connectTimeout: '3s',
      taskQueue: '${written.queue ?? unique('queue')}',
      consumers: [${(written.consumers ?? [consumerOf(written)]).join()}],
    })`
}

function book(value: string): string {
  return `transactional(async (messages, { tx }) => {
    for (const { offset, value } of messages) await tx.query('insert into booked values ($1, $2)', [offset, ${value}])
  })`
}

async function booked(database: FreshDatabase): Promise<string[]> {
  const rows = await query<{ value: string }>(database, 'select value from booked order by log_offset')
  return rows.map(({ value }) => value)
}

async function query<R extends object>({ connectionString }: FreshDatabase, text: string): Promise<R[]> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    return (await client.query<R>(text)).rows
  } finally {
    await client.end()
  }
}

function kafkaClient(): Kafka {
  return new Kafka({ brokers: [...part('kafka').brokers], logLevel: logLevel.NOTHING })
}

async function createTopic(topic: string, partitions: number): Promise<void> {
  const admin = kafkaClient().admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: true })
  await admin.disconnect()
}

async function send(topic: string, partition: number, values: readonly string[]): Promise<void> {
  const producer = kafkaClient().producer()
  await producer.connect()
  await producer.send({ topic, messages: values.map((value) => ({ partition, value })), acks: -1 })
  await producer.disconnect()
}

function lastLine({ stderr }: Ran): string {
  return stderr.trimEnd().split('\n').at(-1)!
}

/** It ended with that code, said so on standard error only, and showed nobody a stack trace. */
function refused({ code, stdout, stderr }: Ran, expected: number): void {
  expect({ code, stdout }).toEqual({ code: expected, stdout: '' })
  expect(stderr).not.toMatch(/^\s+at /m)
}
