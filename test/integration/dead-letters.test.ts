import { afterAll, beforeAll, expect, it } from 'vitest'
import { appendEvents, createStream } from '../../src/entry/postgres.js'
import { type CliProcess, Project, refused } from '../support/cli.js'
import { rowsOf } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['temporal', 'postgres'], 'dead letters from the command line', () => {
  let database: FreshDatabase
  let project: Project
  let worker: CliProcess
  const stream = unique('orders')
  const group = unique('billing')

  beforeAll(async () => {
    database = await freshDatabase()
    const { connectionString } = database
    await createStream(connectionString, { stream, partitions: 1 })
    await rowsOf(connectionString, 'create table handled (n text); create table bad (n text)')
    await rowsOf(connectionString, "insert into bad values ('a1'), ('b1'), ('c1')")
    project = await Project.create({ DATABASE_URL: connectionString })
    await project.write(
      'tidemark.config.ts',
      `
      import { consumer, deadLetter, defineConfig, transactional } from 'tidemark'
      import { postgresStore, postgresStream } from 'tidemark/postgres'
      const connectionString = process.env.DATABASE_URL!
      export default defineConfig({
        store: postgresStore({ connectionString, poolSize: 5 }),
        taskQueue: '${unique('queue')}',
        consumers: [consumer<{ n: string }>({
          group: '${group}',
          source: postgresStream({ connectionString, stream: '${stream}' }),
          batch: { maxDuration: '5s', idleGap: '300ms' },
          retry: { attempts: 1 },
          afterLastTry: deadLetter(),
          handler: transactional(async (messages, { tx }) => {
            for (const { value: { n } } of messages) {
              const bad = await tx.query('select from bad where n = $1', [n])
              if (bad.rows.length > 0) throw new RangeError('no rate')
              await tx.query('insert into handled values ($1)', [n])
            }
          }),
        })],
      })`,
    )
    worker = project.start(['start'])
    await worker.said('running: group')
    const events = ['a1', 'a2', 'b1', 'b2', 'c1', 'd1'].map((n) => ({ key: n[0]!, value: { n } }))
    await appendEvents(connectionString, stream, events)
    await handled('d1')
  })
  afterAll(async () => {
    await project.close()
    await database.drop()
  })

  const all = async () =>
    (await rowsOf<{ n: string }>(database.connectionString, 'select n from handled')).map(({ n }) => n)
  const handled = (n: string) => waitFor(async () => (await all()).includes(n), { what: n })
  const ask = async (...args: string[]) => {
    const ran = await project.ask(['dead-letters', ...args])
    return { ...ran, json: ran.stdout.split('\n').filter(Boolean).map(parsed) }
  }
  const list = async (...args: string[]) => (await ask('list', '--json', ...args)).json
  const idOf = async (key: string) => (await list('--key', key))[0].id as string

  it('are listed and shown with what is wrong with them, and counted by status', async () => {
    await waitFor(async () => (await list()).length === 5, { what: 'what is set aside' })
    const letters = await list()
    expect(letters.map((one) => [one.key.text, one.class, one.state])).toEqual([
      ['a', 'poison', 'waiting'],
      ['a', 'behind', 'waiting'],
      ['b', 'poison', 'waiting'],
      ['b', 'behind', 'waiting'],
      ['c', 'poison', 'waiting'],
    ])
    expect((await list('--class', 'poison', '--code', 'RangeError', '--limit', '2')).length).toBe(2)
    const shown = await ask('show', letters[0].id, '--payload')
    expect(shown.stdout).toContain(`${stream}[0] offset`)
    expect(shown.stdout).toMatch(/RangeError: no rate[\s\S]+\{"n": ?"a1"\}/)
    const status = await project.ask(['status'])
    expect(status.stdout).toContain(
      `5 messages set aside (3 keys) in partition 0: tidemark dead-letters list --group ${group} --stream ${stream}\n`,
    )
    refused(await ask('show', '999'), 2)
  })

  it('are redriven in the order of their key, once they are mended', async () => {
    const id = await idOf('a')
    const dry = await ask('redrive', id, '--dry-run')
    expect(dry.stdout).toBe(
      `${group} on ${stream}: 2 letters to be redriven (1 key, partition 0, 1 behind others)\ndry run: nothing was changed\n`,
    )
    refused(await ask('redrive', '--key', 'a'), 2)
    const failing = await ask('redrive', id, '--yes', '--follow')
    expect(failing.code).toBe(1)
    expect(failing.stdout).toMatch(/0 of 2 done, 2 wait again; last failed \S+ offset \d+: .*no rate\n$/)
    await project.write('mended.json', '{"n": "a1-mended"}')
    const ran = await ask('redrive', id, '--value-from', 'mended.json', '--yes', '--follow', '--why', 'see #212')
    expect([ran.code, ran.stdout.split('\n').at(-2)]).toEqual([0, '2 of 2 done'])
    expect((await all()).filter((n) => n.startsWith('a'))).toEqual(['a1-mended', 'a2'])
    expect(await list('--key', 'a')).toEqual([])
  })

  it('are discarded with a reason, and those behind them as they are told', async () => {
    const id = await idOf('b')
    expect((await ask('discard', id)).stderr).toContain('say why')
    refused(await ask('discard', id, '--reason', 'a test', '--yes'), 2)
    const ran = await ask('discard', id, '--followers', 'redrive', '--reason', 'a test', '--yes', '--json', '--follow')
    expect(ran.json[0]).toMatchObject({ letters: 2, groups: [{ group, owners: [0], waits: [] }] })
    expect(ran.json.at(-1)).toMatchObject({ done: 2, left: 0 })
    expect((await all()).filter((n) => n.startsWith('b'))).toEqual(['b2'])
    const history = await project.ask(['history', '--json'])
    const kinds = JSON.parse(history.stdout).map(({ kind, why }: { kind: string; why: string }) => `${kind} ${why}`)
    expect(kinds.slice(0, 3)).toEqual([
      `discarded 2 letters of ${stream}[0]: a test`,
      `redriven 2 letters of ${stream}[0]: see #212`,
      expect.stringMatching(/^corrected letter \d+, offset \d+: see #212$/),
    ])
  })

  it('wait while the group is drained, and can be taken back; a reset that clears them brings their messages again', async () => {
    const drained = await project.ask(['drain', '--reason', 'a move', '--json'])
    expect(JSON.parse(drained.stdout)).toMatchObject([{ group, drained: true, partitions: [{ state: 'paused' }] }])
    const [{ partitions }] = JSON.parse(drained.stdout)
    expect(partitions[0].position).toBe(partitions[0].committed)
    const waiting = await ask('redrive', '--all', '--yes')
    expect(waiting.stdout).toContain(`the letters of ${group} wait: the group is paused (a move, by `)
    expect((await list())[0].state).toBe('due')
    await ask('cancel', '--all')
    expect((await list())[0].state).toBe('waiting')
    await rowsOf(database.connectionString, 'delete from bad')
    const reset = await project.ask(['reset', '--to', 'first', '--dead-letters', 'clear', '--yes', '--json'])
    expect(JSON.parse(reset.stdout)).toMatchObject({ cleared: 1 })
    await project.ask(['resume'])
    await handled('c1')
    await waitFor(async () => (await list()).length === 0, { what: 'the end of the letters' })
    expect((await all()).filter((n) => n === 'c1').length).toBe(1)
  })
})

function parsed(line: string) {
  try {
    return JSON.parse(line)
  } catch {
    return line
  }
}
