import { spawn } from 'node:child_process'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { nodeBinary } from '../../scripts/node-binary.mjs'
import { CliProcess } from '../support/cli.js'
import { rowsOf } from '../support/consume.js'
import { freshDatabase } from '../support/fresh-database.js'
import { Packed, plainEnv, root, run } from '../support/packed.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

/* README's quick start as it stands there, and what it writes in projects of other kinds. */

const readme = await readFile(join(root, 'README.md'), 'utf8')
const section = /^## Quick start\n([\s\S]*?)^## /m.exec(readme)![1]!
const commands = /```sh\n([\s\S]*?)```/
  .exec(section)![1]!
  .trimEnd()
  .split('\n')
  .map((line) => line.replace(/\s+#.*/, ''))
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')

interface Kind {
  /** Beside the quick start's own files; undefined leaves one out. */
  readonly files?: Readonly<Record<string, string>>
  /** Where the quick start's own files are. */
  readonly folder?: string
  readonly links?: readonly string[]
  readonly before?: (cwd: string) => Promise<unknown>
  /** What runs instead of `tidemark start`. */
  readonly start?: readonly string[]
  readonly node?: string
}

const cli = 'node_modules/tidemark/bin/tidemark.js'
const compile = (cwd: string) => {
  const options = ['--module', 'commonjs', '--moduleResolution', 'node10', '--target', 'es2022', '--skipLibCheck']
  return run(process.execPath, [tsc, ...options, '--strict', '--outDir', 'built', 'tidemark.config.ts'], { cwd })
}
/** A worker as a library, in one file with all that the user has written; packages stay outside. */
const bundle = async (cwd: string) => {
  const worker = `
    import { createWorker, startGroups } from 'tidemark'
    import config from './tidemark.config'
    const worker = await createWorker(config)
    const running = worker.run()
    await startGroups(config, { consumers: worker.consumers })
    await running`
  await writeFile(join(cwd, 'worker.ts'), worker)
  const options = { bundle: true, platform: 'node', format: 'esm', packages: 'external' } as const
  await build({ ...options, absWorkingDir: cwd, entryPoints: ['worker.ts'], outfile: join(cwd, 'worker.mjs') })
}

const kinds: Readonly<Record<string, Kind>> = {
  'of ES modules': { files: { 'package.json': '{"type": "module"}' } },
  'that tsc compiles to CommonJS': { before: compile, start: [cli, 'start', '--config', 'built/tidemark.config.js'] },
  'with strict node_modules': { links: ['tidemark', 'kafkajs', 'pg'].map((name) => `node_modules/${name}`) },
  'of several packages, started from its root': {
    files: { 'package.json': '{"private": true}', 'apps/billing/package.json': '{"type": "module"}' },
    folder: 'apps/billing',
    start: [cli, 'start', '--config', 'apps/billing/tidemark.config.ts'],
  },
  'that esbuild bundles': { before: bundle, start: ['worker.mjs'] },
  'on Node 22': { node: '22' },
  'on Node 24': { node: '24' },
}

describeWith(['kafka', 'postgres', 'temporal'], "README's quick start", () => {
  let packed: Packed
  const running: CliProcess[] = []
  const folders: string[] = []

  beforeAll(async () => {
    packed = await Packed.shared()
  })
  afterAll(async () => {
    for (const worker of running) {
      // npx passes no signal on, not even this one: its worker is in the same group.
      if (!worker.ended) process.kill(-worker.pid, 'SIGKILL')
      await waitFor(() => worker.ended, { what: 'a worker to end', timeout: 10_000 })
    }
    for (const folder of folders) await rm(folder, { recursive: true, force: true })
  })

  /** An environment with a database of its own. */
  async function ground() {
    const database = await freshDatabase()
    const { address, namespace } = part('temporal')
    const env = {
      ...plainEnv(),
      TEMPORAL_ADDRESS: address,
      TEMPORAL_NAMESPACE: namespace,
      DATABASE_URL: database.connectionString,
      KAFKA_BROKERS: part('kafka').brokers.join(),
    }
    const isDone = async () => {
      const rows = await rowsOf(database.connectionString, 'select 1 from invoices', [])
      return rows.length === 1000
    }
    return { env, isDone, drop: () => database.drop() }
  }

  /** Tests share a Kafka and a Temporal: names are replaced by ones of their own. */
  async function rename(cwd: string): Promise<void> {
    const own = unique('orders')
    for (const name of ['tidemark.config.ts', 'setup.mjs']) {
      const text = await readFile(join(cwd, name), 'utf8')
      const renamed = text
        .replaceAll("'orders'", `'${own}'`)
        .replace("group: 'billing'", `group: 'billing-${own}'`)
        .replace('defineConfig({', `defineConfig({ taskQueue: '${own}',`)
      await writeFile(join(cwd, name), renamed)
    }
  }

  async function handles(
    { env, isDone }: Awaited<ReturnType<typeof ground>>,
    command: string,
    args: readonly string[],
    cwd: string,
  ): Promise<CliProcess> {
    const worker = new CliProcess(spawn(command, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] }))
    running.push(worker)
    await waitFor(async () => worker.ended || (await isDone()), {
      what: () => `1,000 invoices; the worker said ${worker.stderr}`,
      timeout: 90_000,
    })
    expect(worker.ended).toBeNull()
    return worker
  }

  it('does in an empty folder what it says', async () => {
    const cwd = await mkdtemp(join(tmpdir(), 'tidemark-quick-start-'))
    folders.push(cwd)
    const place = await ground()
    const shell = (command: string) => run('bash', ['-c', command], { cwd, env: place.env })
    expect(commands).toEqual([
      'npm init -y',
      expect.stringMatching(/^npm install tidemark /),
      'npx tidemark init',
      'docker compose up --wait',
      'node setup.mjs',
      'npx tidemark start',
    ])
    await shell(commands[0]!)
    await shell(`${commands[1]!.replace(' tidemark ', ` ${packed.tarball} `)} --prefer-offline --no-audit --no-fund`)
    const { stdout } = await shell(commands[2]!)
    for (const step of commands.slice(3)) expect(stdout).toContain(step)
    for (const name of ['billing.ts', 'billing.test.ts', 'tidemark.config.ts']) {
      const block = readme.split(`\`\`\`ts\n// ${name}\n`)[1]!.split('```')[0]!
      expect(await readFile(join(cwd, name), 'utf8')).toBe(block)
    }
    expect(await readdir(cwd)).toEqual(expect.arrayContaining(['.dockerignore', 'Dockerfile', 'compose.yaml']))
    await rename(cwd)
    // The servers are those of the tests.
    await shell(commands[4]!)
    const worker = await handles(place, 'bash', ['-c', `exec ${commands[5]!}`], cwd)
    const told = section
      .match(/```text\n([\s\S]*?)```/)![1]!
      .trim()
      .split('\n')
      .map((line) => line.replace(/^INFO: /, '').split(/ billing | to Temporal|: | 0 /)[0]!)
    for (const start of told) await worker.said(start)
    await place.drop()
  })

  it.each(Object.entries(kinds))('works in a project %s', async (_, { files = {}, folder = '', ...kind }) => {
    const cwd = await packed.projectOf({ 'package.json': '{}', ...files }, kind.links)
    const own = join(cwd, folder)
    for (const from of ['kafka', 'common']) await cp(join(root, 'templates', from), own, { recursive: true })
    await rename(own)
    await kind.before?.(cwd)
    const place = await ground()
    await run(process.execPath, ['setup.mjs'], { cwd: own, env: place.env })
    const node = kind.node ? nodeBinary(kind.node).path : process.execPath
    await handles(place, node, kind.start ?? [cli, 'start'], cwd)
    await place.drop()
  })
})
