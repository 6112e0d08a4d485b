import { readFile } from 'node:fs/promises'
import { Registry, register } from 'prom-client'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { TidemarkError } from '../../../src/model/errors.js'
import { countedActivities, countedSignals } from '../../../src/monitoring/counted.js'
import { defineMetrics } from '../../../src/monitoring/definitions.js'
import { Meters } from '../../../src/monitoring/metrics.js'
import type { Bounds, Chunk, Message } from '../../../src/ports/index.js'
import { rawOf } from '../../support/raw-of.js'
import { waitFor } from '../../support/wait-for.js'

const name = { group: 'billing', stream: 'orders' }
const retry = { initialIntervalMs: 1_000, maximumIntervalMs: 60_000, backoff: 2 }
const key = (partition: number) => ({ ...name, partition })
const batch = (partition: number) => ({ partition, from: '0', epoch: 1, batch: 1, replay: 0, identity: null })

function chunk(messages: number, head: number): Chunk {
  const message = { timestamp: Date.now() - 60_000 } as Message
  return {
    from: 0n,
    next: BigInt(messages),
    messages: Array(messages).fill(message),
    bytes: 10 * messages,
    head: BigInt(head),
    raw: rawOf,
    release: () => {},
  }
}

describe('the metrics of a worker', () => {
  let metrics: Meters
  /** What was asked of the log and of Temporal. */
  let asked: string[]
  let bounds: Map<number, Bounds>
  let stopped: { partition: number; condition: 'blocked'; reason: string; since: string }[]

  beforeEach(() => {
    metrics = new Meters('1.2.3', async () => ({ absent: 'Without the SDK.' }))
    asked = []
    bounds = new Map()
    stopped = []
  })
  afterEach(() => metrics.end())

  const consumer = (partitions = 12) =>
    metrics.consumer({ ...name, retry }, partitions, {
      source: {
        bounds: async (partitions) => {
          asked.push(`bounds ${partitions}`)
          return bounds
        },
        firstTimes: async (partitions) => {
          asked.push(`first times ${partitions}`)
          return new Map([[3, Date.now() - 3_600_000]])
        },
      },
      records: { read: async () => ({ slices: 4 }) as never },
      cluster: {
        look: async (id) => {
          asked.push(`look ${id}`)
          return { memo: { stopped } } as never
        },
      },
    })
  /** The lines of the page that begin so. */
  const lines = async (start: string) => (await metrics.page()).split('\n').filter((line) => line.startsWith(start))
  /** Values by what stands between the braces. */
  const values = async (metric: string) =>
    Object.fromEntries(
      (await lines(`${metric}{`)).map((line) => {
        const [, labels, value] = /\{(.*)\} (.*)$/.exec(line)!
        return [labels!.replace('group="billing",stream="orders"', '').replace(/^,/, ''), Number(value)]
      }),
    )

  it('count chunk by chunk', async () => {
    const meter = consumer()
    meter.began([batch(3)])
    for (const messages of [5, 7]) {
      meter.took(key(3), chunk(messages, 20))
      meter.handled(key(3), chunk(messages, 20), 300)
      meter.committed()
    }
    expect(await values('tidemark_messages_total')).toEqual({ '': 12 })
    expect(await values('tidemark_read_bytes_total')).toEqual({ '': 120 })
    expect(await values('tidemark_chunk_messages_count')).toEqual({ '': 2 })
    expect(await values('tidemark_handler_seconds_sum')).toEqual({ '': 0.6 })
    expect(await values('tidemark_commits_total')).toEqual({ '': 2 })
  })

  it('have their counters before anything has happened', async () => {
    consumer()
    expect(await values('tidemark_messages_total')).toEqual({ '': 0 })
    expect(await values('tidemark_fences_total')).toEqual({ '': 0 })
  })

  it('name errors by their codes, and by nothing else', async () => {
    const meter = consumer()
    const at = { offset: 0n, attempt: 1 }
    meter.failed(key(3), new TidemarkError('HANDLER_FAILED', 'no stock of 4711'), at)
    meter.failed(key(3), Object.assign(new Error('secret'), { code: 'secret', name: 'TidemarkError' }), at)
    meter.blocked({ ...key(3), offset: 0n, code: 'UNDECODABLE', message: 'secret' })
    expect(await values('tidemark_failures_total')).toEqual({
      'code="HANDLER_FAILED"': 1,
      'code="OTHER"': 1,
      'code="UNDECODABLE"': 1,
    })
    expect(await metrics.page()).not.toMatch(/secret|4711/)
  })

  it('show position, head, lag and condition of each partition', async () => {
    const meter = consumer()
    meter.began([batch(3), batch(4)])
    meter.handled(key(3), chunk(5, 20), 1)
    expect(await values('tidemark_position')).toEqual({ 'partition="3"': 5, 'partition="4"': 0 })
    expect(await values('tidemark_head')).toEqual({ 'partition="3"': 20 })
    expect(await values('tidemark_lag')).toEqual({ 'partition="3"': 15 })
    const { 'partition="3"': lag, ...others } = await values('tidemark_lag_seconds')
    expect(Math.round(lag!)).toBe(60)
    expect(others).toEqual({})
    meter.failed(key(4), new Error(), { offset: 0n, attempt: 1 })
    expect(await values('tidemark_partition_condition')).toMatchObject({
      'partition="3",condition="healthy"': 1,
      'partition="3",condition="retrying"': 0,
      'partition="4",condition="healthy"': 0,
      'partition="4",condition="retrying"': 1,
    })
    expect(await values('tidemark_partitions')).toEqual({
      'condition="healthy"': 1,
      'condition="retrying"': 1,
      'condition="blocked"': 0,
      'condition="fenced"': 0,
    })
  })

  it('forget a partition that was handed over', async () => {
    const meter = consumer()
    meter.began([batch(3)])
    meter.handled(key(3), chunk(5, 20), 1)
    expect(await lines('tidemark_lag{')).toHaveLength(1)
    meter.left(3, 'released')
    expect((await metrics.page()).match(/partition="3"/)).toBeNull()
    expect(await values('tidemark_messages_total')).toEqual({ '': 5 })
  })

  it('put the partitions of a very large stream together', async () => {
    const meter = consumer(1_001)
    meter.began([batch(3), batch(4)])
    meter.handled(key(3), chunk(5, 20), 1)
    meter.handled(key(4), chunk(5, 8), 1)
    expect(await values('tidemark_lag')).toEqual({ '': 18 })
    expect(Math.round((await values('tidemark_lag_seconds'))['']!)).toBe(60)
    expect(await values('tidemark_partitions')).toMatchObject({ 'condition="healthy"': 2 })
    expect(await metrics.page()).not.toContain('partition="')
  })

  it('know the retention headroom from the second look on, which asks the log in the background', async () => {
    const meter = consumer()
    meter.began([batch(3)])
    meter.took(key(3), chunk(5, 20))
    expect(await values('tidemark_retention_headroom_seconds')).toEqual({})
    await waitFor(async () => (await lines('tidemark_retention_headroom_seconds{')).length > 0, {
      what: 'the headroom',
    })
    expect(Math.round((await values('tidemark_retention_headroom_seconds'))['partition="3"']!)).toBe(3_540)
  })

  it('ask the log for heads that no reader has seen, and not again at each scrape', async () => {
    const meter = consumer()
    meter.began([batch(3), batch(4)])
    meter.handled(key(4), chunk(5, 5), 1)
    meter.blocked({ ...key(3), offset: 0n, code: 'UNDECODABLE', message: '' })
    bounds.set(3, { first: 0n, head: 90n })
    for (let scrape = 0; scrape < 5; scrape++) await metrics.page()
    await waitFor(async () => (await values('tidemark_lag'))['partition="3"'] === 90, { what: 'the lag' })
    expect(asked).toEqual(['bounds 3', 'first times 3,4'])
  })

  it("carry the SDK's text, or say why there is none", async () => {
    expect((await metrics.page()).endsWith('\n# Without the SDK.\n')).toBe(true)
    const other = new Meters('1.2.3', async () => ({ text: 'temporal_request_total 1\n' }))
    expect(await other.page()).toContain('\ntemporal_request_total 1\n')
    other.end()
  })

  it('count what the worker causes in Temporal', async () => {
    const meter = consumer()
    const { commit } = countedActivities({ commit: async (position: number) => position }, meter)
    expect(await commit(7)).toBe(7)
    await countedSignals({ signal: async () => {} } as never, meter).signal('id', 'wake')
    expect(await values('tidemark_temporal_actions_total')).toEqual({ 'action="activity"': 1, 'action="signal"': 1 })
  })

  it('show the memory of messages', async () => {
    const buffer = { used: 5, total: 100 }
    metrics.buffer(buffer)
    expect([...(await lines('tidemark_buffered_bytes')), ...(await lines('tidemark_buffer_limit'))]).toEqual([
      'tidemark_buffered_bytes 5',
      'tidemark_buffer_limit_bytes 100',
    ])
  })

  it('leave the global registry of prom-client alone', () => {
    consumer()
    expect(register.getMetricsAsArray()).toEqual([])
  })
})

it('docs/metrics.md lists every metric with its type and labels, and no other', async () => {
  const registry = new Registry()
  const listed = Object.values(defineMetrics(registry)).map((metric) => {
    const { name, type, labelNames } = metric as unknown as { name: string; type: string; labelNames: string[] }
    return `${name} ${type} ${labelNames.join(', ')}`.trim()
  })
  const page = await readFile('docs/metrics.md', 'utf8')
  const rows = [...page.matchAll(/^\| `(tidemark_\w+)` \| (\w+) \| ([\w`, ]*?) *\|/gm)]
  expect(rows.map(([, name, type, labels]) => `${name} ${type} ${labels!.replaceAll('`', '')}`.trim())).toEqual(listed)
})
