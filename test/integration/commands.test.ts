import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Project, refused } from '../support/cli.js'
import { configOf } from '../support/config-text.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { createTopic, send } from '../support/topics.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['temporal', 'postgres', 'kafka'], 'a group, seen and steered from the command line', () => {
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

    const early = await project.ask(['pause', '--reason', 'too early'])
    expect(early.stderr).toBe(
      `tidemark: no group 'bank' runs on stream '${other}' in this Temporal namespace; start it with 'tidemark start'\n`,
    )
    refused(early, 1)

    const worker = project.start(['start'])
    await worker.said('running: group bank')
    await waitFor(async () => (await statusOf(project)).length === 3, { what: 'three partitions', timeout: 60_000 })

    const stranger = await project.ask(['pause', '--group', 'banc'])
    expect(stranger.stderr).toBe(
      `tidemark: the config has no group 'banc' (did you mean 'bank'?); it has bank on ${other}\n`,
    )
    refused(stranger, 2)
    for (const command of ['pause', 'resume']) {
      const beyond = await project.ask([command, '--partition', '7'])
      expect(beyond.stderr).toBe(`tidemark: ${other} has no partition 7; this group has 0 to 2\n`)
      refused(beyond, 2)
    }

    const paused = await project.run(['pause', '--partition', '1', '--reason', 'bad deploy'])
    expect(paused).toEqual({ code: 0, stdout: `bank on ${other}: partition 1 paused\n`, stderr: '' })
    const [, second, third] = await waitForStates(['running', 'paused', 'running'])
    expect(second?.reason).toBe('bad deploy')
    expect(third?.reason).toBe('')
    const shown = await project.run(['status'])
    expect(shown.stdout).toMatch(/\n +1 +paused .*bad deploy\n/)

    expect((await project.ask(['pause', '-g', 'bank'])).stdout).toBe(`bank on ${other}: all 3 partitions paused\n`)
    await waitForStates(['paused', 'paused', 'paused'])
    expect((await project.run(['resume'])).stdout).toBe(`bank on ${other}: all 3 partitions resumed\n`)
    await waitForStates(['running', 'running', 'running'])

    await worker.stop()
    const alone = await project.ask(['status'])
    expect(alone.stdout).toContain('\nno worker answers: from the store and the broker\n')
    expect(alone.stdout).toMatch(/\n +2 +stopped \(no worker\) +0 +0 +0 /)
    expect(alone.stderr).toMatch(/^tidemark: group bank on \S+: no worker answers for group 'bank' on [^\n]+\n$/)
    expect(alone.code).toBe(1)
  })

  it('says why a partition is blocked where no worker runs', async () => {
    const spoilt = unique('deposits')
    await createTopic(spoilt, 2)
    await send(spoilt, 1, ['amount=3'])
    await project.write('tidemark.config.ts', configOf({ topic: spoilt, queue: unique('queue') }))
    const worker = project.start(['start'])
    await waitForStates(['running', 'blocked'])
    await worker.stop()

    const [, blocked] = await statusOf(project)
    expect(blocked).toMatchObject({ state: 'blocked', since: expect.stringMatching(/^20/) })
    expect(blocked?.reason).toContain(`${spoilt}[1] offset 0: the value (8 bytes) can't be decoded as json`)
    const { stdout, code } = await project.ask(['status'])
    expect(stdout).toContain('\nno worker answers: from the store and the broker\n')
    expect(stdout).toMatch(/\n +0 +stopped \(no worker\) +/)
    expect(stdout).toMatch(/\n +1 +blocked .* for \S.*: .*can't be decoded as json/)
    expect(code).toBe(1)
  })

  it('shows the message that a blocked partition stands in front of, and skips it, with a worker and without', async () => {
    const spoilt = unique('deposits')
    await createTopic(spoilt, 1)
    await send(spoilt, 0, ['amount=3', 'amount=4', '{"amount": 5}'])
    await project.write('tidemark.config.ts', configOf({ topic: spoilt, queue: unique('queue') }))
    const skip = (offset: number) =>
      project.ask(['skip', '-p', '0', '--offset', String(offset), '--reason', 'not JSON', '--yes'])
    const blockedAt = (position: string) =>
      waitFor(
        async () => (await statusOf(project)).some((line) => line.state === 'blocked' && line.position === position),
        { what: `the partition to be blocked at ${position}`, timeout: 60_000 },
      )
    const worker = project.start(['start'])
    await blockedAt('0')
    expect((await skip(0)).stdout).toContain(
      `bank on ${spoilt}: 1 partition moved behind the message, 1 running partition told\n`,
    )
    await blockedAt('1')
    await worker.stop()

    const shown = await project.ask(['show', '-p', '0', '--payload'], { TEMPORAL_ADDRESS: '127.0.0.1:1' })
    expect(shown.stdout).toMatch(
      new RegExp(`^${spoilt}\\[0\\] offset 1\\n[^]*\\nkey +none\\nvalue +8 bytes\\n[^]*\\n\\namount=4\\n$`),
    )
    const before = await skip(0)
    expect(before.stderr).toContain(`${spoilt}[0] of group bank stands at 1, not at 0`)
    refused(before, 1)
    expect((await skip(1)).stdout).toMatch(/\n +0 +1 +2 +1 skipped\n/)
    expect(await statusOf(project)).toMatchObject([{ state: 'stopped (no worker)', position: '2' }])
    const history = JSON.parse((await project.ask(['history', '--stream', spoilt, '--json'])).stdout) as object[]
    expect(history).toMatchObject([1, 0].map((offset) => ({ kind: 'skipped', to: `${offset + 1}`, why: 'not JSON' })))
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
  const { stdout, stderr } = await project.ask(['status', '--json'])
  if (stdout === '') throw new Error(stderr)
  const [group] = JSON.parse(stdout) as { partitions: PartitionLine[] }[]
  // Who waits for messages runs, too.
  return group!.partitions.map((line) => ({ ...line, state: line.state === 'idle' ? 'running' : line.state }))
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
