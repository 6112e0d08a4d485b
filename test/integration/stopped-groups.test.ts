import type { Client } from '@temporalio/client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { groupWorkflowId } from '../../src/model/partition.js'
import { Project, refused } from '../support/cli.js'
import { configOf, consumerOf } from '../support/config-text.js'
import { temporalClient } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { createTopic } from '../support/topics.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

interface StatusLine {
  readonly problem: string | null
  readonly stopped: string | null
  readonly paused: string | null
  readonly partitions: readonly { readonly state: string; readonly reason: string }[]
}

interface Change {
  readonly kind: string
  readonly by: string
  readonly why: string
  readonly partition: number | null
}

describeWith(['temporal', 'postgres', 'kafka'], 'groups that are paused or stopped, from the command line', () => {
  let database: FreshDatabase
  let project: Project
  let client: Client & { close(): Promise<void> }

  beforeAll(async () => {
    client = await temporalClient()
    database = await freshDatabase()
    project = await Project.create({
      DATABASE_URL: database.connectionString,
      KAFKA_BROKERS: part('kafka').brokers.join(','),
    })
  })
  afterAll(async () => {
    await project?.close()
    await database?.drop()
    await client?.close()
  })

  const json = async <T>(...args: string[]): Promise<T> => {
    const { stdout, stderr } = await project.ask([...args, '--json'])
    if (stdout === '') throw new Error(stderr)
    return JSON.parse(stdout) as T
  }
  const statusOf = async () => (await json<StatusLine[]>('status'))[0]!
  // A partition that waits for messages runs, too.
  const states = async () =>
    (await statusOf()).partitions.map(({ state }) => (state === 'idle' ? 'running' : state)).join()
  const waitForStates = (wanted: string) =>
    waitFor(async () => (await states()) === wanted, { what: `the states ${wanted}`, timeout: 60_000 })

  it('keeps a group stopped that was terminated in Temporal, until it is resumed', async () => {
    const topic = unique('deposits')
    await createTopic(topic, 2)
    await project.write('tidemark.config.ts', configOf({ topic, queue: unique('queue') }))
    const first = project.start(['start'])
    await first.said('running: group bank')
    await waitForStates('running,running')
    await first.stop()
    await client.workflow.getHandle(groupWorkflowId('bank', topic)).terminate('too expensive')

    // Nobody has written it down yet.
    const shown = await project.ask(['status'])
    const stopped = /stopped in Temporal by a person at 2\S+Z \(terminated; Temporal: its workflow was terminated/
    expect(shown.stdout).toMatch(stopped)
    expect(shown.stdout).toContain(`'tidemark resume --group bank --stream ${topic}' starts it again`)
    expect(shown.stdout).toMatch(/\n +0 +stopped +/)
    expect(shown).toMatchObject({ code: 0, stderr: '' })

    const second = project.start(['start'])
    await second.said('and stays stopped')
    expect((await statusOf()).stopped).toMatch(stopped)
    expect(await states()).toBe('stopped,stopped')
    const paused = await project.ask(['pause', '--partition', '0', '--reason', 'look into it'])
    expect(paused.stdout).toMatch(
      /: partition 0 paused; the group does not run \(it was stopped in Temporal by a person at .*, and the pause holds/,
    )
    const one = await project.ask(['resume', '--partition', '0'])
    expect(one.stderr).toContain('is stopped, it was stopped in Temporal by a person')
    refused(one, 2)

    const resumed = await project.ask(['resume', '--reason', 'budget approved'])
    expect(resumed.stdout).toMatch(
      new RegExp(`^bank on ${topic}: started again; it was stopped in Temporal .* Partition 0 stays paused: `),
    )
    expect(resumed).toMatchObject({ code: 0, stderr: '' })
    await waitForStates('paused,running')
    expect(await json('resume')).toEqual([{ group: 'bank', stream: topic, partitions: [0, 1], paused: false }])
    await waitForStates('running,running')
    expect((await statusOf()).stopped).toBeNull()
    await second.stop()

    const changes = await json<Change[]>('history', '--stream', topic)
    expect(changes.map(({ kind, partition, why }) => [kind, partition, why])).toEqual([
      ['resumed', null, ''],
      ['restarted', null, 'budget approved'],
      ['paused', 0, 'look into it'],
      ['stopped', null, 'terminated: its workflow was terminated in Temporal'],
    ])
    for (const { by } of changes.slice(0, 3)) expect(by).toMatch(/^\S+@\S+$/)
  })

  it('fails a status where a group should run and does not, and not where a person has paused it', async () => {
    const topic = unique('deposits')
    await createTopic(topic, 2)
    await project.write('tidemark.config.ts', configOf({ topic, queue: unique('queue') }))
    const never = await project.ask(['status'])
    expect(never.stderr).toBe(
      `tidemark: group bank on ${topic} does not run: it was never started; start it with 'tidemark start'\n`,
    )
    expect(never.code).toBe(1)

    const worker = project.start(['start'])
    await worker.said('running: group bank')
    await waitForStates('running,running')
    expect(await project.ask(['status'])).toMatchObject({ code: 0, stderr: '' })
    expect(await json('pause', '--reason', 'bad deploy')).toEqual([
      { group: 'bank', stream: topic, partitions: [0, 1], paused: true },
    ])
    await waitForStates('paused,paused')
    await worker.stop()
    const alone = await project.ask(['status'])
    expect(alone.stdout).toContain('\nno worker answers: from the store and the broker\n')
    expect(alone.stdout).toContain('\npaused: bad deploy\n')
    expect(alone.stdout).toMatch(/\n +1 +paused .*bad deploy\n/)
    expect(alone).toMatchObject({ code: 0, stderr: '' })

    const again = project.start(['start'])
    await again.said('running: group bank')
    await waitFor(async () => (await project.ask(['resume', '--reason', 'fixed with #212'])).code === 0, {
      what: 'the group to be resumed',
      timeout: 60_000,
    })
    await again.stop()
    const silent = await project.ask(['status'])
    expect(silent.stderr).toMatch(
      /^tidemark: group bank on \S+: no worker answers for group 'bank' .* is one running\? /,
    )
    expect(silent.code).toBe(1)
    const [resumed] = await json<Change[]>('history', '--stream', topic)
    expect(resumed).toMatchObject({ kind: 'resumed', why: 'fixed with #212', by: expect.stringMatching(/^\S+@\S+$/) })
  })

  it('pauses all groups of a config only for those who have said so', async () => {
    const [one, other] = [unique('deposits'), unique('payments')]
    await createTopic(one, 1)
    await createTopic(other, 1)
    const consumers = [one, other].map((topic) => consumerOf({ topic }))
    await project.write('tidemark.config.ts', configOf({ consumers, queue: unique('queue') }))
    const worker = project.start(['start'])
    await worker.said(`running: group bank reads ${other}`)
    await waitFor(async () => (await project.ask(['status'])).code === 0, { what: 'both to run', timeout: 60_000 })
    for (const args of [[], ['--json']]) {
      const ran = await project.ask(['pause', ...args])
      const message =
        `tidemark pause would pause all 2 groups of the config (bank on ${one}, bank on ${other}), and there is ` +
        'no terminal to ask: name them with --group, --stream or --partition, or say --yes'
      if (args.length === 0) expect(ran.stderr).toBe(`tidemark: ${message}\n`)
      else expect(JSON.parse(ran.stderr)).toEqual({ error: { code: 'CONFIG_INVALID', message } })
      refused(ran, 2)
    }
    const named = (stream: string, paused: boolean) => ({ group: 'bank', stream, partitions: [0], paused })
    expect(await json('pause', '--stream', other)).toEqual([named(other, true)])
    expect(await json('pause', '--yes')).toEqual([named(one, true), named(other, true)])
    expect(await json('resume')).toEqual([named(one, false), named(other, false)])
    await worker.stop()
  })
})
