import { afterAll, beforeAll, expect, it } from 'vitest'
import { consumer, defineConfig } from '../../src/config/define.js'
import { appendEvents, createStream, postgresStore, postgresStream } from '../../src/entry/postgres.js'
import { Project, type Ran, refused } from '../support/cli.js'
import { rowsOf, run } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { silentLog } from '../support/silent-log.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

/** Nothing listens there. */
const nowhere = '127.0.0.1:1'

describeWith(['temporal', 'postgres'], 'positions, seen and moved from the command line', () => {
  let database: FreshDatabase
  let project: Project
  const queue = unique('queue')
  // Streams are names in Temporal, too, and its test server is shared.
  const [orders, payments] = [unique('orders'), unique('payments')]

  beforeAll(async () => {
    database = await freshDatabase()
    const { connectionString } = database
    project = await Project.create({ DATABASE_URL: connectionString })
    await createStream(connectionString, { stream: orders, partitions: 1 })
    await createStream(connectionString, { stream: payments, partitions: 2 })
    // The first 6000 positions of this database: offsets 1 to 6000, and the head at 6001.
    await appendEvents(connectionString, orders, events(6_000))
    await project.write(
      'tidemark.config.ts',
      `
      import { consumer, defineConfig } from 'tidemark'
      import { postgresStore, postgresStream } from 'tidemark/postgres'
      const connectionString = process.env.DATABASE_URL
      const reads = (group: string, stream: string) =>
        consumer({ group, source: postgresStream({ connectionString, stream }), handler: async () => {} })
      export default defineConfig({
        store: postgresStore({ connectionString }),
        taskQueue: '${queue}',
        consumers: [reads('billing', '${orders}'), reads('audit', '${orders}'), reads('billing', '${payments}')],
      })`,
    )
  })
  afterAll(async () => {
    await project.close()
    await database.drop()
  })

  const billing = ['--group', 'billing', '--stream', orders]
  const reset = (to: string, ...more: string[]) => project.ask(['reset', ...billing, '--to', to, ...more])
  const json = async <T>(...args: string[]): Promise<T> => {
    const { stdout, stderr } = await project.ask([...args, '--json'])
    if (stdout === '') throw new Error(stderr)
    return JSON.parse(stdout) as T
  }
  const stored = () =>
    rowsOf<Record<string, unknown>>(
      database.connectionString,
      `select o."group", o.stream, o.partition, position, epoch, replay, (select count(*) from tidemark.consumer_changes) changes
       from tidemark.consumer_offsets o order by 1, 2, 3`,
    )
  const position = async () => {
    const rows = await stored()
    return rows.find((row) => row.group === 'billing' && row.stream === orders)?.position
  }

  it('tells how far a group is behind, puts it anywhere, and remembers who did it and why', async () => {
    expect((await project.run(['lag', ...billing])).stdout).toMatch(/\n +0 +- +6001 +- .*nothing committed yet\n/)
    const begun = await reset('1400', '--yes')
    expect(begun.stdout).toContain('none of them runs: they begin there when the group is started')
    expect(begun).toMatchObject({ code: 0, stderr: '' })

    const lag = await project.ask(['lag', ...billing])
    expect(lag.stdout).toMatch(new RegExp(`^billing on ${orders}  lag 4601 in 1 partition, \\S+ behind\\n`))
    expect(lag.stdout).toMatch(/\n +0 +1400 +6001 +4601 +\S+ /)
    const [view] = await json<Lag[]>('lag', ...billing)
    expect(view).toMatchObject({
      group: 'billing',
      stream: orders,
      lag: '4601',
      partitions: [{ partition: 0, committed: '1400', first: '1', head: '6001', lag: '4601', replay: 1, remark: '' }],
    })
    expect(view!.timeLagMs).toBeGreaterThan(0)

    const before = await stored()
    const dry = await reset('0', '--dry-run')
    expect(dry.stdout).toMatch(/\n +0 +1400 +0 +1399 handled again\ndry run: nothing was changed\n$/)
    expect(await stored()).toEqual(before)

    expect((await reset('0', '--yes', '--why', 'wrong tax rate')).stdout).toContain('1399 handled again')
    expect(await position()).toBe('0')
    expect((await reset('5000', '--yes')).stdout).toMatch(/\n +0 +0 +5000 +4999 skipped\n/)
    expect(await position()).toBe('5000')
    expect((await reset('last', '--yes')).stdout).toMatch(/\n +0 +5000 +6000 +1000 skipped\n/)
    expect((await reset('-100', '--yes')).stdout).toMatch(/\n +0 +6000 +5900 +100 handled again\n/)
    expect((await reset('+50', '--yes')).stdout).toMatch(/\n +0 +5900 +5950 +50 skipped\n/)
    expect((await reset('+500', '--yes')).stdout).toMatch(/ 51 skipped; that is the head: 6450 is not written yet\n/)
    expect((await reset('-9000', '--yes')).stdout).toMatch(/ handled again; that is the first: -2999 is not in the log/)
    expect((await reset('1999-12-31', '--yes')).stdout).toMatch(/\n +0 +1 +1 +unchanged\n/)
    const moved = await json<{ partitions: object[] }>('reset', ...billing, '--to', 'next', '--yes')
    expect(moved).toMatchObject({ kind: 'reset', dryRun: false, reopened: [] })
    expect(moved.partitions).toEqual([{ partition: 0, from: '1', to: '6001', again: '0', skipped: '6000', remark: '' }])

    const changes = await json<Change[]>('history', ...billing)
    expect(changes.map(({ from, to }) => `${from}>${to}`)).toEqual(
      '1>6001 1>1 6001>1 5950>6001 5900>5950 6000>5900 5000>6000 0>5000 1400>0 null>1400'.split(' '),
    )
    expect(changes[8]).toMatchObject({ kind: 'reset', partition: 0, why: 'wrong tax rate' })
    expect(changes[8]!.by).toMatch(/^\S+@\S+$/)
    const listed = await project.run(['history', ...billing, '--partition', '0', '--limit', '2'])
    expect(listed.stdout.split('\n')).toHaveLength(5)
    expect(listed.stdout).toMatch(/Z +0 +reset +1 +6001 +\S+@\S+\n/)
  })

  it('shows what was done to a group beside what was done to its positions', async () => {
    const { connectionString } = database
    const context = { log: silentLog(), signal: new AbortController().signal }
    const { groups, close } = await postgresStore({ connectionString }).database.connect(context)
    const audit = { group: 'audit', stream: orders }
    const ann = { by: 'ann@desk', why: 'bad deploy' }
    try {
      await groups.ensure(audit, { slices: 16, partitions: [0, 1] })
      await groups.pause(audit, ann)
      // Partition 1 has no offset yet.
      await groups.pause(audit, { partitions: [1], ...ann })
      await groups.stop(audit, { how: 'terminated', ...ann })
      await groups.reslice(audit, { from: 1, slices: 32, by: 'ann@desk', why: '' })
    } finally {
      await close()
    }
    const theirs = ['--group', 'audit', '--stream', orders]
    const none = { from: null, to: null, at: expect.any(String) }
    expect(await json('history', ...theirs, '--partition', '1')).toEqual([
      { ...audit, partition: null, kind: 'resliced', by: 'ann@desk', why: '16 to 32 slices', ...none },
      { ...audit, partition: null, kind: 'stopped', by: 'ann@desk', why: 'terminated: bad deploy', ...none },
      { ...audit, partition: 1, kind: 'paused', ...ann, ...none },
      { ...audit, partition: null, kind: 'paused', ...ann, ...none },
    ])
    const { stdout } = await project.run(['history', ...theirs])
    expect(stdout).toMatch(/Z +- +resliced +- +- +ann@desk: 16 to 32 slices\n/)
    expect(stdout).toMatch(/Z +1 +paused +- +- +ann@desk: bad deploy\n/)
  })

  it('lists the groups of a stream', async () => {
    const from = ['--stream', orders, '--yes', '--to', '6000']
    expect((await project.ask(['reset', '--group', 'audit', ...from])).code).toBe(0)
    expect((await project.ask(['reset', '--group', 'billing', ...from])).code).toBe(0)
    const groups = await json<object[]>('groups', '--stream', orders)
    const line = { stream: orders, partitions: 1, lag: '1', lastCommit: expect.any(String) }
    expect(groups).toEqual([
      { group: 'audit', ...line },
      { group: 'billing', ...line },
    ])
    expect((await project.run(['groups', '--stream', payments])).stdout).toBe('the store knows no such groups yet\n')
  })

  it('writes offsets into a file, and puts groups back to where it says', async () => {
    await reset('6000', '--yes')
    const file = `${project.folder}/offsets.csv`
    const { stdout } = await project.ask(['offsets', 'export', ...billing])
    expect(stdout).toBe(`${orders},0,6000\n`)
    expect(await project.ask(['offsets', 'export', ...billing, '--file', file])).toMatchObject({
      stdout: `1 offset written to ${file}\n`,
    })
    await reset('5000', '--yes')
    const restore = ['--yes', '--why', 'as it was']
    const dry = await project.ask(['offsets', 'import', '--file', file, '--group', 'billing', '--dry-run'])
    expect(dry.stdout).toMatch(/\n +0 +5000 +6000 +1000 skipped\ndry run: nothing was changed\n$/)
    expect(await position()).toBe('5000')
    const imported = await json<object[]>('offsets', 'import', '--file', file, '--group', 'billing', ...restore)
    expect(imported).toMatchObject([{ group: 'billing', partitions: [{ from: '5000', to: '6000' }] }])
    expect(await position()).toBe('6000')
    await reset('5000', '--yes')
    expect((await project.ask(['reset', ...billing, '--from-file', file, ...restore])).code).toBe(0)
    expect(await position()).toBe('6000')

    const several = await project.ask(['offsets', 'import', '--file', file, ...restore])
    expect(several.stderr).toMatch(/name the group and the stream; the config has billing on \S+, audit on /)
    refused(several, 2)
    await project.write('offsets.csv', `${orders},0,6002\n`)
    const beyond = await project.ask(['reset', ...billing, '--from-file', file, ...restore])
    expect(beyond.stderr).toContain('offset 6002 is out of range')
    refused(beyond, 1)
  })

  it('shows any message, and the next one where none is named, without Temporal', async () => {
    await reset('5000', '--yes')
    const cut = { TEMPORAL_ADDRESS: nowhere }
    const show = async (...args: string[]) => project.ask(['show', ...billing, '--partition', '0', ...args], cut)
    const one = JSON.parse((await show('--offset', '6000', '--json')).stdout) as Record<string, unknown>
    expect(one).toMatchObject({ stream: orders, partition: 0, offset: '6000', key: { text: '49' }, headers: [] })
    expect(one).not.toHaveProperty('value')
    const next = await show('--payload')
    expect(next.stdout).toMatch(new RegExp(`^${orders}\\[0\\] offset 5000\\ngroup +billing\\ntimestamp +20`))
    expect(next.stdout).toMatch(/\n\{"n": ?4999\}\n$/)
    const beyond = await show('--offset', '6001')
    expect(beyond.stderr).toMatch(
      /offset 6001 is out of range: \S+ holds offsets \d+ to 6000, and the next one is 6001/,
    )
    refused(beyond, 1)
    await reset('next', '--yes')
    expect((await show()).stderr).toContain('has handled all of')
  })

  it('says in full which moment a date means', async () => {
    const { stdout } = await reset('2026-01-01', '--dry-run')
    expect(stdout).toContain('\nto the first message written at 2026-01-01T00:00:00.000Z or later\n')
  })

  it('skips the message that a partition stands at, and no other', async () => {
    await reset('5000', '--yes')
    const skip = (offset: string, ...args: string[]) =>
      project.ask(['skip', ...billing, '-p', '0', '--offset', offset, '--reason', 'test data', ...args])
    const elsewhere = await skip('5001', '--yes')
    expect(elsewhere.stderr).toContain('stands at 5000, not at 5001')
    refused(elsewhere, 1)
    const unasked = await skip('5000')
    expect(unasked.stderr).toContain('tidemark skip asks before it changes anything')
    refused(unasked, 2)
    expect((await skip('5000', '--dry-run')).stdout).toMatch(/ 1 skipped\ndry run: nothing was changed\n$/)
    expect(await position()).toBe('5000')
    expect((await skip('5000', '--yes')).code).toBe(0)
    expect(await position()).toBe('5001')
    const [change] = await json<Change[]>('history', ...billing, '--limit', '1')
    expect(change).toMatchObject({ kind: 'skipped', from: '5000', to: '5001', why: 'test data' })
  })

  it('makes a running group go on from where it is put', async () => {
    const { connectionString } = database
    const handled: bigint[] = []
    const { address, namespace } = part('temporal')
    expect((await reset('5500', '--yes')).code).toBe(0)
    const running = await run(
      defineConfig({
        store: postgresStore({ connectionString }),
        temporal: { address, namespace },
        taskQueue: queue,
        consumers: [
          consumer({
            group: 'billing',
            source: postgresStream({ connectionString, stream: orders }),
            batch: { maxDuration: '2s', idleGap: '200ms' },
            handler: async (messages) => {
              handled.push(...messages.map(({ offset }) => offset))
            },
          }),
        ],
      }),
    )
    try {
      const caughtUp = () =>
        waitFor(async () => (await position()) === '6001', { what: 'the group to be at the head', timeout: 60_000 })
      await caughtUp()
      expect(handled).toEqual(offsets(5_500, 6_000))
      const line = await waitFor(
        async () => {
          const [view] = await json<Status[]>('status', ...billing)
          // Its batch stays open for a while, to see messages as they come.
          return view!.partitions.find(({ state, position }) => /running|idle/.test(state) && position === '6001')
        },
        { what: 'the partition to wait at the head', timeout: 60_000 },
      )
      expect(line).toMatchObject({ position: '6001', committed: '6001', head: '6001', lag: '0', timeLagMs: 0 })

      const running = ['skip', ...billing, '-p', '0', '--offset', '6001', '--reason', 'x', '--yes']
      const refusal = await project.ask(running)
      expect(refusal.stderr).toMatch(
        / is (running|idle): a message can be skipped where the partition is blocked, paused or/,
      )
      refused(refusal, 1)
      const deletion = await project.ask(['groups', 'delete', 'billing', '--stream', orders, '--yes'])
      expect(deletion.stderr).toContain(`${process.pid}@`)
      expect(deletion.stderr).toContain('Stop them, or deploy them without the group')
      refused(deletion, 1)
      const [{ members }] = await json<[{ members: object[] }]>('groups', 'members', 'billing', '--stream', orders)
      const version = expect.stringMatching(/./)
      expect(members).toMatchObject([{ pid: process.pid, version, waits: expect.any(Boolean) }])
      expect((await project.ask(['groups', 'members', 'billing'])).stdout).toMatch(
        new RegExp(`\\n *${process.pid}  \\S+ +\\S+ +\\S+ +`),
      )

      handled.length = 0
      const back = await reset('5901', '--yes')
      expect(back.stdout).toContain('100 handled again')
      expect(back.stdout).toContain('1 partition reset, 1 running partition told')
      await waitFor(() => handled.length >= 100, { what: 'a hundred messages to be handled again', timeout: 60_000 })
      await caughtUp()
      expect(handled).toEqual(offsets(5_901, 6_000))
    } finally {
      await running.stop()
    }
    const alone = await project.ask(['status', ...billing])
    expect(alone.stdout).toContain('\nno worker answers: from the store and the broker\n')
    expect(alone.stdout).toMatch(/\n +0 +stopped \(no worker\) +6001 +6001 +0 +0s/)
    expect(alone.stderr).toContain(`group billing on ${orders}: no worker answers for group`)
    expect(alone.code).toBe(1)
  })

  it('deletes a group that no worker has, which begins anew then, and keeps its history', async () => {
    const audit = { group: 'audit', stream: orders }
    const theirs = (rows: Record<string, unknown>[]) => rows.filter(({ group }) => group === 'audit')
    expect(theirs(await stored())).toHaveLength(1)
    const dry = await project.ask(['groups', 'delete', 'audit', '--dry-run'])
    expect(dry.stdout).toBe(
      `audit on ${orders}\n  1 committed offset\n  its record: slices, pauses and stop\ndry run: nothing was deleted\n`,
    )
    expect(theirs(await stored())).toHaveLength(1)
    const [deleted] = await json<object[]>('groups', 'delete', 'audit', '--yes', '--reason', 'not needed')
    expect(deleted).toMatchObject({ ...audit, offsets: 1, record: true, deleted: true })
    expect(theirs(await stored())).toEqual([])
    const progress = await rowsOf(
      database.connectionString,
      `select 1 from tidemark.consumer_progress where "group" = 'audit'`,
    )
    expect(progress).toEqual([])
    const [change] = await json<Change[]>('history', '--group', 'audit', '--limit', '1')
    expect(change).toMatchObject({ ...audit, kind: 'deleted', why: 'not needed' })
    const again = await project.ask(['groups', 'delete', 'audit', '--yes'])
    expect(again.stderr).toMatch(/there is no group 'audit'; there is billing on /)
    refused(again, 2)
  })

  it('changes nothing in any partition when one of them can not be put there', async () => {
    const { connectionString } = database
    const { lastPosition } = await appendEvents(connectionString, payments, events(100))
    const both = ['reset', '--group', 'billing', '--stream', payments, '--yes', '--to']
    expect((await project.ask([...both, 'first'])).code).toBe(0)
    const before = await stored()
    // Only the partition of the last event reaches so far.
    const ran = await project.ask([...both, String(lastPosition! + 1n)])
    expect(ran.stderr).toMatch(
      /^tidemark: offset \d+ is out of range: \S+\[[01]\] holds offsets 6\d+ to 6\d+, and the next one is 6\d+; nothing was changed\n$/,
    )
    refused(ran, 1)
    expect(await stored()).toEqual(before)
  })

  it.each<[what: string, args: () => string[], said: RegExp, code: number, env?: NodeJS.ProcessEnv]>([
    [
      'an unknown group',
      () => to('1', { group: 'bil' }),
      /the config has no group 'bil'.*; it has billing on \S+, audit on /,
      2,
    ],
    [
      'an unknown stream',
      () => to('1', { stream: 'orders' }),
      /the config has no group .*on stream 'orders'.*; it has billing on /,
      2,
    ],
    [
      'several streams',
      () => ['reset', '-g', 'billing', '--to', '1', '--yes'],
      /name the group and the stream; the /,
      2,
    ],
    ['an unknown partition', () => [...to('1'), '-p', '0', '-p', '4'], / has no partition 4; it has 0$/, 2],
    ['a malformed offset', () => to('5oo'), /'5oo' is no position: use first, last, next, an offset/, 2],
    [
      'an offset beyond the head',
      () => to('6002'),
      /offset 6002 is out of range: \S+\[0\] holds offsets \d+ to 6000, and the next one is 6001;/,
      1,
    ],
    [
      'an offset below the first',
      () => to('2'),
      /offset 2 is out of range: \S+\[0\] holds offsets 11 to 6000, and the next one is 6001;/,
      1,
    ],
    ['a time to come', () => to('2999-01-01'), /2999-01-01 is still to come/, 2],
    ['nobody to ask', () => to('1').filter((word) => word !== '--yes'), /no terminal to ask: say --yes/, 2],
    ['no offsets to adopt', () => ['adopt', ...billing, '--yes'], /is a postgres stream, which keeps no offsets/, 2],
    ['no Temporal', () => to('100'), /Temporal at 127\.0\.0\.1:1 can't be reached/, 1, { TEMPORAL_ADDRESS: nowhere }],
    ['no Postgres', () => to('100'), /Postgres at 127\.0\.0\.1:1 can't be reached/, 1, noPostgres],
    ['no Postgres to look at', () => ['lag'], /Postgres at 127\.0\.0\.1:1 can't be reached/, 1, noPostgres],
    ['groups of an unknown stream', () => ['groups', '-s', 'x'], /there is no group on stream 'x'; there is /, 2],
    [
      'the history of an unknown partition',
      () => ['history', ...billing, '-p', '9'],
      /no partition 9 of billing on /,
      2,
    ],
  ])('answers %s with one line, and changes nothing', async (_, args, said, code, env) => {
    // A log that begins at 11: what lay before is gone.
    await rowsOf(database.connectionString, 'delete from tidemark.events where position <= 10')
    const before = await stored()
    const ran = await project.ask(args(), env)
    expect(ran.stderr.trimEnd()).toMatch(said)
    expect(ran.stderr).toMatch(/^tidemark: [^\n]+\n$/)
    expect(ran.stderr).not.toContain('secret-word')
    refused(ran, code)
    expect(await stored()).toEqual(before)
  })

  function to(where: string, { group = 'billing', stream = orders } = {}): string[] {
    return ['reset', '--group', group, '--stream', stream, '--to', where, '--yes']
  }

  it('needs no Temporal to look at lag, history and groups, or to try a reset', async () => {
    const cut = { TEMPORAL_ADDRESS: nowhere }
    const looks = [['lag'], ['history'], ['groups']]
    const ran: Ran[] = await Promise.all([
      ...looks.map((args) => project.ask(args, cut)),
      // What was tried in vain must not keep a process.
      project.run([...to('100'), '--dry-run'], cut),
    ])
    expect(ran.map(({ code, stderr }) => ({ code, stderr }))).toEqual(Array(4).fill({ code: 0, stderr: '' }))
  })

  it('looks again and again until Ctrl-C', async () => {
    const watching = project.start(['lag', ...billing, '--watch', '0.2', '--json'])
    await waitFor(() => watching.stdout.split('\n').length > 3, { what: 'three looks', timeout: 60_000 })
    const { code, stdout } = await watching.stop()
    expect(code).toBe(0)
    const lines = stdout.trimEnd().split('\n')
    for (const line of lines) expect((JSON.parse(line) as Lag[])[0]!.stream).toBe(orders)
  })

  it.each(['bash', 'zsh', 'fish'])('prints what %s needs to complete commands', async (shell) => {
    // What is long comes through a process's end once, too.
    const { code, stdout } = await (shell === 'bash' ? project.run : project.ask).call(project, ['completion', shell])
    expect(code).toBe(0)
    for (const word of ['reset', 'dry-run', 'history', 'watch']) expect(stdout).toContain(word)
  })
})

const noPostgres = { DATABASE_URL: `postgres://someone:secret-word@${nowhere}/bank` }

interface Lag {
  readonly stream: string
  readonly timeLagMs: number
}

interface Status {
  readonly partitions: readonly { readonly state: string; readonly position: string }[]
}

interface Change {
  readonly from: string | null
  readonly to: string
  readonly by: string
}

function events(count: number) {
  return Array.from({ length: count }, (_, n) => ({ key: `${n % 50}`, value: { n } }))
}

function offsets(from: number, to: number): bigint[] {
  return Array.from({ length: to - from + 1 }, (_, n) => BigInt(from + n))
}
