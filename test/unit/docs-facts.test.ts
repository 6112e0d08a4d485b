import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { dollarsPerMonth, groupActions } from '../../src/client/cost.js'
import { consumer, defineConfig } from '../../src/config/define.js'
import type { ConsumerOptions } from '../../src/config/options.js'
import { parseConfig } from '../../src/config/parse.js'
import { kafka } from '../../src/entry/kafka.js'
import { memoryStore } from '../../src/entry/testing.js'
import { migrations } from '../../src/postgres/tables/migrations.js'

const read = (path: string) => readFileSync(path, 'utf8')

it('docs/security.md names every table of Tidemark', () => {
  const created = migrations.flatMap(({ sql }) =>
    [...sql.matchAll(/create table :schema\.(\w+)/g)].map(([, name]) => name!),
  )
  expect(created.length).toBeGreaterThan(7)
  const page = read('docs/security.md')
  for (const table of [...created, 'migrations']) expect(page).toContain(`\`${table}\``)
})

it('docs/security.md names what installing Tidemark installs', () => {
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> }
  const sentence = /Installing Tidemark installs ([\s\S]*?), with what they depend on/.exec(
    read('docs/security.md'),
  )![1]!
  const named = [...sentence.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)
  expect(named.sort()).toEqual(Object.keys(dependencies).sort())
})

it('the costs in docs/temporal-cloud.md are those that `tidemark cost` computes', () => {
  const rows = [
    ...read('docs/temporal-cloud.md').matchAll(
      /^\| (the defaults|`[hb].*?) \| ([\d.]+) \| (\d+) \| ([\d.]+) \| (\d+) \|$/gm,
    ),
  ]
  expect(rows.length).toBeGreaterThan(3)
  for (const [, settings, ...told] of rows) {
    const { restPerMinute, busySlicePerMinute } = actionsOf(settings!)
    const computed = [restPerMinute, busySlicePerMinute].flatMap((perMinute) => [
      Number(perMinute.toFixed(1)),
      Math.round(dollarsPerMonth(perMinute, 50)),
    ])
    expect(told.map(Number), settings).toEqual(computed)
  }
})

it('docs/cli.md names the environment variables that Tidemark reads', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(
    // src/local starts servers for development.
    (file) => file.endsWith('.ts') && !file.startsWith('local'),
  )
  const names = files.flatMap((file) => [...read(`src/${file}`).matchAll(/\benv\.([A-Z_]+)/g)].map(([, name]) => name!))
  expect(names).toContain('TEMPORAL_ADDRESS')
  const usual = ['TERM', 'USER']
  const page = read('docs/cli.md')
  expect(names.filter((name) => !usual.includes(name) && !page.includes(`\`${name}\``))).toEqual([])
})

/** @param text options as the page writes them: `batch.maxDuration: '60s'` */
function actionsOf(text: string) {
  const options: { heartbeatTimeout?: string; batch?: { maxDuration: string } } = {}
  for (const [, name, value] of text.matchAll(/([\w.]+): '(\w+)'/g))
    if (name === 'heartbeatTimeout') options.heartbeatTimeout = value!
    else if (name === 'batch.maxDuration') options.batch = { maxDuration: value! }
    else throw new Error(`what is ${name}?`)
  const source = kafka({ brokers: ['127.0.0.1:9092'], topic: 'orders' })
  const one = consumer({ group: 'billing', source, handler() {}, ...(options as Partial<ConsumerOptions>) })
  const { consumers } = parseConfig(defineConfig({ store: memoryStore(), consumers: [one] }))
  return groupActions(consumers[0]!.settings, 64)
}

it('comparisons in docs/faq.md are those of the figures in the README', () => {
  const readme = read('README.md')
  const ratios = (row: RegExp) => [...readme.matchAll(row)].map(([, ratio]) => Number(ratio).toFixed(1)).slice(0, 2)
  const drain = ratios(/drain[^|]*\| [\d,]+ msg\/s \| [\d,]+ msg\/s \| ([\d.]+) x/g)
  const latency = ratios(/latency[^|]*\| [\d.]+ ms \| [\d.]+ ms \| ([\d.]+) x/g)
  const memory = ratios(/peak memory \| \d+ MB \| \d+ MB \| ([\d.]+) x/g)
  const events = /history events per 1,000 messages of the drains \| +\| ([\d.]+), ([\d.]+) \|/.exec(readme)!
  const range = (found: readonly string[]) => [...new Set([...found].sort())].join(' to ')
  const page = read('docs/faq.md').replace(/\s+/g, ' ')
  expect(page).toContain(
    `it drains ${range(drain)} times as fast as a hand-tuned \`eachBatch\`, takes ${range(latency)} times as long for a message at low load, and ${range(memory)} times the memory`,
  )
  expect(page).toContain(`${events[1]} to ${events[2]} Temporal events per 1,000 messages`)
})
