import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createStream } from '../../src/entry/postgres.js'
import { Project } from '../support/cli.js'
import { rowsOf } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['postgres', 'temporal'], "a worker's log at info", () => {
  let database: FreshDatabase
  let project: Project
  /** Where the handler notes what it has handled. */
  let done: string
  const stream = unique('orders')
  const queue = unique('queue')
  const append = (partition: number, data: object) =>
    rowsOf(
      database.connectionString,
      'insert into tidemark.events (stream, partition, key, data) values ($1, $2, $3, $4)',
      [stream, partition, 'k', JSON.stringify(data)],
    )

  beforeAll(async () => {
    database = await freshDatabase()
    project = await Project.create({ DATABASE_URL: database.connectionString })
    done = join(project.folder, 'done.txt')
    await createStream(database.connectionString, { stream, partitions: 6 })
  })
  afterAll(async () => {
    await project.close()
    await database.drop()
  })

  /** A worker of group `bank`, whose handler fails four times at a flaky message, and whose decoder refuses a bad one. */
  const write = () =>
    project.write(
      'tidemark.config.ts',
      `
    import { appendFileSync } from 'node:fs'
    import { consumer, defineConfig } from 'tidemark'
    import { postgresStore, postgresStream } from 'tidemark/postgres'

    let left = 4
    function stockOf() {
      throw new TypeError('no such item')
    }
    function decode(bytes) {
      const value = JSON.parse(bytes.toString())
      if (value.bad) throw new RangeError('amount out of range')
      return value
    }
    export default defineConfig({
      store: postgresStore({ connectionString: process.env.DATABASE_URL }),
      taskQueue: '${queue}',
      consumers: [consumer({
        group: 'bank',
        source: postgresStream({ connectionString: process.env.DATABASE_URL, stream: '${stream}', value: decode }),
        retry: { initialInterval: '200ms', maximumInterval: '500ms' },
        batch: { maxDuration: '3s' },
        handler: async (messages) => {
          for (const { value } of messages) {
            console.log(JSON.stringify(value))
            if (value.flaky && left-- > 0) stockOf()
            if (value.mark) appendFileSync('${done}', value.mark)
          }
        },
      })],
    })`,
    )

  it('tells the story of its partitions, from its start to its end', async () => {
    await write()
    for (let partition = 0; partition < 6; partition++) await append(partition, {})
    const worker = project.start(['start'])
    // In one line as a rule; slices that begin later have one of their own.
    await worker.said('; holds 6')
    await worker.said('caught up: ')
    await append(1, { flaky: true })
    await append(2, { bad: true })
    await worker.said('recovered after 4 tries')
    await worker.said('blocked: ')
    const on = ['--group', 'bank', '--stream', stream]
    await project.ask(['pause', ...on, '--partition', '3', '--reason', 'a look'])
    await worker.said('gave away partition 3')
    await project.ask(['resume', ...on, '--partition', '3'])
    await project.ask(['reset', ...on, '--partition', '4', '--to', 'first', '--yes', '--why', 'again'])
    await worker.said('reset: ')
    const { code, stderr } = await worker.stop()
    expect(code).toBe(0)
    const lines = stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    const told = (start: string) => lines.filter(({ msg }) => msg.startsWith(start))
    expect(lines[0].msg).toContain('started: a worker of bank on ')
    expect(told('retrying: ')).toMatchObject([
      {
        level: 40,
        partition: 1,
        error: { class: 'TypeError' },
        msg: expect.stringContaining('TypeError: no such item'),
      },
    ])
    expect(told('retrying: ')[0].at[0]).toContain('stockOf')
    expect(told('blocked: ')).toMatchObject([
      { level: 50, partition: 2, msg: expect.stringContaining('RangeError: amount out of range') },
    ])
    expect(told('blocked: ')[0].at[0]).toContain('decode')
    expect(told('paused: partition 3 by ')[0].msg).toContain('a look')
    expect(told('reset: ')[0].msg).toMatch(/\[4\] goes on at \d+$/)
    const end = lines.slice(-3).map(({ msg }) => msg)
    expect(end).toEqual([
      expect.stringContaining('stopping: '),
      expect.stringMatching(/^handed over partitions 0, 1, 3 to 5$/),
      'stopped',
    ])
  })

  it('does not end its process where nobody reads it any more, nor what the handler writes', async () => {
    await write()
    const worker = project.start(['start'])
    await worker.said('running: group')
    await append(0, {})
    await waitFor(() => worker.stdout !== '', { what: 'the handler to write', timeout: 60_000 })
    worker.deafen()
    for (const mark of ['first', 'second']) {
      await append(5, { mark })
      const handled = () => existsSync(done) && readFileSync(done, 'utf8').includes(mark)
      await waitFor(() => handled() || worker.ended, { what: `the ${mark} message`, timeout: 60_000 })
      expect(handled()).toBe(true)
    }
    // A closed log is noticed at the next line: that of the end.
    expect((await worker.stop()).code).toBe(0)
  })
})
