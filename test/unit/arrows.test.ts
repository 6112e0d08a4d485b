import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { cruise, type ICruiseResult, type IFlattenedRuleSet } from 'dependency-cruiser'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/*
 * A rule that never fires looks just like a house in order. So every arrow is shown a small house that breaks it.
 */

interface ArrowsConfig {
  readonly forbidden: readonly { readonly name: string }[]
  readonly options: { readonly enhancedResolveOptions: object }
}

const require = createRequire(import.meta.url)
const config = require('../../.dependency-cruiser.cjs') as ArrowsConfig

/** Files that break a rule: their only import, and the rules that must say so. */
const breaking: Record<string, { imports: string; breaks: string[] }> = {
  'src/model/reads-files.ts': { imports: 'node:fs', breaks: ['model-is-pure'] },
  'src/model/knows-ports.ts': { imports: '../ports/index.js', breaks: ['model-is-pure'] },
  'src/model/type-cycle-a.ts': { imports: 'type ./type-cycle-b.js', breaks: ['no-cycles'] },
  'src/options/knows-ports.ts': { imports: 'type ../ports/index.js', breaks: ['options-know-the-model'] },
  'src/ports/index.ts': { imports: 'type ../handlers/knows-zod.js', breaks: ['ports-know-the-model'] },
  'workflows/does-io.ts': { imports: 'node:net', breaks: ['workflows-are-deterministic'] },
  'workflows/knows-ports.ts': { imports: 'type ../src/ports/index.js', breaks: ['workflows-are-deterministic'] },
  'activities/knows-log.ts': { imports: '../src/kafka/source/fine.js', breaks: ['activities-do-not-know-drivers'] },
  'activities/knows-pg.ts': { imports: 'type pg', breaks: ['activities-do-not-know-drivers', 'one-driver-a-folder'] },
  'activities/handling/knows-batch.ts': { imports: '../batch/fine.js', breaks: ['handling-knows-no-batch'] },
  'src/reading/knows-log.ts': { imports: '../kafka/source/fine.js', breaks: ['ground-floors-know-the-model'] },
  'src/storing/knows-reading.ts': { imports: '../reading/fine.js', breaks: ['ground-floors-know-the-model'] },
  'src/kafka/source/knows-other-log.ts': {
    imports: '../../postgres/client/fine.js',
    breaks: ['a-log-knows-the-ground-floors'],
  },
  'src/kafka/source/knows-worker.ts': {
    imports: '../../worker/fine.js',
    breaks: ['a-log-knows-the-ground-floors'],
  },
  'src/rabbitmq/client/knows-source.ts': { imports: '../source/fine.js', breaks: ['clients-stand-below'] },
  'src/kafka/source/uses-pg.ts': { imports: 'pg', breaks: ['kafka-uses-only-its-driver'] },
  'src/postgres/source/uses-kafkajs.ts': { imports: 'kafkajs', breaks: ['postgres-uses-only-its-driver'] },
  'src/rabbitmq/source/uses-kafkajs.ts': { imports: 'kafkajs', breaks: ['rabbitmq-uses-only-its-driver'] },
  'src/handlers/knows-zod.ts': { imports: 'zod', breaks: ['handlers-know-ports'] },
  'src/config/knows-source.ts': { imports: '../kafka/source/fine.js', breaks: ['config-knows-ports'] },
  'src/config/runs-temporal.ts': { imports: '@temporalio/client', breaks: ['config-only-names-temporal'] },
  'src/temporal/knows-client.ts': { imports: '../client/fine.js', breaks: ['temporal-knows-the-model'] },
  'src/client/knows-worker.ts': { imports: '../worker/fine.js', breaks: ['client-talks-to-temporal'] },
  'src/worker/knows-log.ts': {
    imports: '../postgres/store/fine.js',
    breaks: ['worker-gets-its-parts-from-config'],
  },
  'src/worker/knows-reading.ts': { imports: '../reading/fine.js', breaks: ['worker-gets-its-parts-from-config'] },
  'src/worker/knows-workflows.ts': {
    imports: '../../workflows/fine.js',
    breaks: ['worker-gets-its-parts-from-config'],
  },
  'src/worker/uses-prom-client.ts': { imports: 'type prom-client', breaks: ['one-home-for-prom-client'] },
  'src/monitoring/knows-worker.ts': { imports: '../worker/fine.js', breaks: ['monitoring-listens'] },
  'src/worker/uses-kafkajs.ts': { imports: 'kafkajs', breaks: ['one-driver-a-folder'] },
  'src/worker/knows-cli.ts': {
    imports: '../cli/fine.js',
    breaks: ['worker-gets-its-parts-from-config', 'cli-is-the-top'],
  },
  'src/local/knows-worker.ts': { imports: '../worker/fine.js', breaks: ['local-knows-the-model'] },
  'src/testing/knows-log.ts': { imports: '../kafka/source/fine.js', breaks: ['testing-knows-no-log'] },
  'src/testing/uses-vitest.ts': { imports: 'vitest', breaks: ['testing-has-optional-peers'] },
  'src/worker/knows-testing.ts': {
    imports: '../testing/fine.js',
    breaks: ['worker-gets-its-parts-from-config', 'cli-is-the-top'],
  },
  'src/cli/knows-tests.ts': { imports: '../../test/fine.js', breaks: ['shipped-code-stands-alone'] },
  'src/cli/uses-vitest.ts': { imports: 'vitest', breaks: ['shipped-code-needs-no-dev-dependency'] },
  'src/cli/dangling.ts': { imports: './nowhere.js', breaks: ['nothing-unresolved'] },
  'src/entry/index.ts': { imports: './kafka.js', breaks: ['index-reaches-no-driver'] },
}

/** Files that keep the arrows. */
const keeping: Record<string, string[]> = {
  'src/model/fine.ts': [],
  // A cycle is reported once, at its first file.
  'src/model/type-cycle-b.ts': ['type ./type-cycle-a.js'],
  'workflows/fine.ts': ['../src/model/fine.js', '@temporalio/workflow'],
  'activities/fine.ts': ['../src/model/fine.js', '../src/handlers/fine.js', '@temporalio/activity', 'node:events'],
  'src/handlers/fine.ts': ['../model/fine.js'],
  'src/options/fine.ts': ['../model/fine.js', 'zod'],
  'src/config/fine.ts': ['../handlers/fine.js', '../options/fine.js', 'zod', 'type @temporalio/client'],
  'activities/batch/fine.ts': ['../handling/fine.js'],
  'activities/handling/fine.ts': ['../../src/ports/fine.js'],
  'src/ports/fine.ts': ['../model/fine.js'],
  'src/reading/fine.ts': ['../model/fine.js', '../ports/fine.js'],
  'src/storing/fine.ts': ['../ports/fine.js'],
  'src/kafka/client/fine.ts': ['../../model/fine.js', '../../reading/fine.js', 'kafkajs', 'node:zlib'],
  'src/kafka/source/fine.ts': ['../client/fine.js', '../store/fine.js'],
  'src/kafka/store/fine.ts': ['../client/fine.js', '../../storing/fine.js'],
  'src/kafka/output/fine.ts': ['../client/fine.js'],
  'src/postgres/client/fine.ts': ['../../model/fine.js', 'pg'],
  'src/postgres/tables/fine.ts': ['../client/fine.js'],
  'src/postgres/store/fine.ts': ['../tables/fine.js'],
  'src/rabbitmq/client/fine.ts': [],
  'src/rabbitmq/source/fine.ts': ['../client/fine.js'],
  'src/temporal/fine.ts': ['../config/fine.js', '@temporalio/client'],
  'src/client/fine.ts': ['../config/fine.js', '../temporal/fine.js', '@temporalio/client', 'node:os'],
  'src/reading/outage.ts': [],
  'src/worker/fine.ts': ['../client/fine.js', '../../activities/fine.js', '../config/fine.js', '@temporalio/activity'],
  'src/worker/tells-outages.ts': ['../reading/outage.js'],
  'src/cli/fine.ts': ['../worker/fine.js'],
  'src/testing/fine.ts': ['../worker/fine.js', '../local/fine.js', '@temporalio/testing'],
  'src/monitoring/fine.ts': ['../ports/index.js', 'node:http', 'prom-client'],
  'src/local/fine.ts': ['../model/fine.js', 'vitest'],
  'src/entry/kafka.ts': ['../kafka/source/fine.js'],
  'test/fine.ts': [],
}

const packages = {
  dependencies: [
    ...['pg', 'kafkajs', 'zod', 'prom-client'],
    ...['@temporalio/workflow', '@temporalio/activity', '@temporalio/client'],
  ],
  devDependencies: ['vitest', '@temporalio/testing'],
}

let house: string
let broken: Map<string, Set<string>>

beforeAll(async () => {
  house = await mkdtemp(join(tmpdir(), 'arrows-'))
  for (const [file, { imports }] of Object.entries(breaking)) await put(file, importOf(imports))
  for (const [file, imports] of Object.entries(keeping)) await put(file, imports.map(importOf).join(''))
  await put('package.json', JSON.stringify({ type: 'module', ...mapValues(packages, versionOfEach) }))
  for (const name of Object.values(packages).flat()) {
    await put(`node_modules/${name}/package.json`, JSON.stringify({ name, version: '1.0.0', main: 'index.js' }))
    await put(`node_modules/${name}/index.js`, '')
  }
  const { forbidden, options } = config
  const ruleSet = { forbidden } as unknown as IFlattenedRuleSet
  const { enhancedResolveOptions, ...others } = options
  const { output } = await cruise(
    ['src', 'workflows', 'activities', 'test'],
    { ...others, baseDir: house, ruleSet, validate: true },
    enhancedResolveOptions,
  )
  broken = new Map()
  for (const { from, rule } of (output as ICruiseResult).summary.violations) {
    broken.set(from, (broken.get(from) ?? new Set()).add(rule.name))
  }
})

afterAll(() => rm(house, { recursive: true, force: true }))

describe('arrows', () => {
  it.each(Object.entries(breaking))('%s is found out', (file, { breaks }) => {
    expect([...(broken.get(file) ?? [])].sort()).toEqual([...breaks].sort())
  })

  it('a house in order is left alone', () => {
    expect(Object.keys(keeping).filter((file) => broken.has(file))).toEqual([])
  })

  it('every rule has a file that breaks it', () => {
    const proven = new Set(Object.values(breaking).flatMap(({ breaks }) => breaks))
    expect(config.forbidden.map(({ name }) => name).filter((name) => !proven.has(name))).toEqual([])
  })
})

/** `type x` becomes a type-only import of x. */
function importOf(text: string): string {
  const name = text.replace(/^type /, '')
  return text === name ? `import '${name}'\n` : `import type { Thing } from '${name}'\nexport type Other = Thing\n`
}

async function put(file: string, text: string): Promise<void> {
  await mkdir(join(house, dirname(file)), { recursive: true })
  await writeFile(join(house, file), text)
}

function versionOfEach(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, '*']))
}

function mapValues<T, U>(record: Record<string, T>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]))
}
