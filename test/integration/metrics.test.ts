import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createStream } from '../../src/entry/postgres.js'
import { type LocalPrometheus, startPrometheus } from '../../src/local/prometheus.js'
import { type PrometheusPrograms, prometheusPrograms } from '../../src/local/prometheus-program.js'
import { type CliProcess, Project } from '../support/cli.js'
import { rowsOf } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

describeWith(['postgres', 'temporal'], 'a worker with a port', () => {
  let programs: PrometheusPrograms
  let database: FreshDatabase
  let project: Project
  let worker: CliProcess
  let prometheus: LocalPrometheus
  let url: string
  const stream = unique('orders')
  const append = (partition: number, data: object) =>
    rowsOf(
      database.connectionString,
      'insert into tidemark.events (stream, partition, key, data) values ($1, $2, $3, $4)',
      [stream, partition, 'k', JSON.stringify(data)],
    )

  beforeAll(async () => {
    programs = await prometheusPrograms()
    database = await freshDatabase()
    project = await Project.create({ DATABASE_URL: database.connectionString })
    await createStream(database.connectionString, { stream, partitions: 2 })
    await project.write(
      'tidemark.config.ts',
      `
    import { consumer, defineConfig } from 'tidemark'
    import { postgresStore, postgresStream } from 'tidemark/postgres'

    function decode(bytes) {
      const value = JSON.parse(bytes.toString())
      if (value.bad) throw new RangeError('amount out of range')
      return value
    }
    export default defineConfig({
      store: postgresStore({ connectionString: process.env.DATABASE_URL }),
      taskQueue: '${unique('queue')}',
      consumers: [consumer({
        group: 'bank',
        source: postgresStream({ connectionString: process.env.DATABASE_URL, stream: '${stream}', value: decode }),
        handler: async () => {},
      })],
    })`,
    )
    for (let number = 0; number < 5; number++) await append(0, { number })
    await append(1, { bad: true })
    await append(1, { number: 6 })
    worker = project.start(['start', '--port', '0'])
    await worker.said('serving /livez')
    url = /http:\/\/127\.0\.0\.1:\d+/.exec(worker.stderr)![0]
    prometheus = await startPrometheus(programs.prometheus, new URL(url).host)
  })
  afterAll(async () => {
    await prometheus?.server.stop()
    await project.close()
    await database.drop()
  })

  /** The values that a query finds, once there are as many as that. */
  const found = async (query: string, count: number) => {
    const series = await waitFor(
      async () => {
        const series = await prometheus.query(query)
        return series.length >= count && series
      },
      { what: `${query} in Prometheus; the worker said ${worker.stderr}`, timeout: 30_000 },
    )
    return [...series].sort((a, b) => Number(a.labels.partition) - Number(b.labels.partition))
  }
  const inGroup = { group: 'bank', stream }

  it('is ready once it works, and tells Prometheus what it has handled, and what is blocked', async () => {
    expect(await found('up == 1', 1)).toHaveLength(1)
    expect(await found('tidemark_messages_total == 5', 1)).toMatchObject([{ labels: inGroup }])
    expect(await found('tidemark_partition_condition{condition="blocked"} == 1', 1)).toMatchObject([
      { labels: { ...inGroup, partition: '1' } },
    ])
    expect(await found('tidemark_failures_total == 1', 1)).toMatchObject([{ labels: { code: 'UNDECODABLE' } }])
    const [handled, blocked] = await found('tidemark_lag_seconds', 2)
    expect(handled).toMatchObject({ labels: { partition: '0' }, value: 0 })
    expect(blocked!.value).toBeGreaterThan(0)
    const [lag] = await found('tidemark_lag > 0', 1)
    expect(lag).toMatchObject({ labels: { partition: '1' } })
    expect(await found('tidemark_retention_headroom_seconds', 2)).toHaveLength(2)
    const ready = await fetch(`${url}/readyz`)
    expect([ready.status, await ready.json()]).toMatchObject([200, { status: 'ready', state: 'running' }])
  })

  it("serves the metrics of Temporal's SDK on the same page", async () => {
    expect((await found('temporal_request_total{operation="RespondActivityTaskCompleted"}', 1)).length).toBe(1)
  })

  /** What promtool says of a text. */
  const checked = async (what: readonly string[], given: string) => {
    const promtool = spawn(programs.promtool, ['check', ...what], { stdio: ['pipe', 'pipe', 'pipe'] })
    promtool.stdin.end(given)
    const [said, complained, [code]] = await Promise.all([
      text(promtool.stdout),
      text(promtool.stderr),
      once(promtool, 'close'),
    ])
    return { code, said: said.trim(), complained }
  }

  it('serves what Prometheus has nothing to say against', async () => {
    const page = await (await fetch(`${url}/metrics`)).text()
    expect(await checked(['metrics'], page)).toEqual({ code: 0, said: '', complained: '' })
  })

  it('is watched by the alerts of docs/metrics.md', async () => {
    const page = await readFile('docs/metrics.md', 'utf8')
    const [rules] = /(?<=```yaml\n)groups:[\s\S]*?(?=```)/.exec(page)!
    const file = join(project.folder, 'alerts.yml')
    await writeFile(file, rules)
    expect(await checked(['rules', file], '')).toMatchObject({
      code: 0,
      said: expect.stringContaining('3 rules found'),
    })
  })
})
