import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/cli/config.js'
import { parseConfig } from '../../src/config/parse.js'
import { TidemarkError } from '../../src/entry/index.js'

/* TypeScript configs in projects of any kind. What Node loads itself, JavaScript, is in test/integration/package.test.ts. */

const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

/** A project with these files, by name; its folder. */
async function project(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-config-'))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  return folder
}

const kinds = ['{"type": "commonjs"}', '{"type": "module"}', '{}']

/** A config whose handler returns `result`; `head` comes first. */
function configOf(head: string, result: string): string {
  return `import { consumer, defineConfig, TidemarkError } from 'tidemark'
import { kafka } from 'tidemark/kafka'
import { memoryStore } from 'tidemark/testing'
${head}
interface Order { readonly id: string }
export default defineConfig({
  store: memoryStore(),
  consumers: [
    consumer({
      group: 'billing',
      source: kafka<Order>({ brokers: ['127.0.0.1:9092'], topic: 'orders' }),
      handler: async (): Promise<any> => ${result},
    }),
  ],
})
`
}

/** What the handler of a project's config returns. */
async function resultOf(files: Readonly<Record<string, string>>, name = 'tidemark.config.ts'): Promise<unknown> {
  const { options } = await loadConfig(join(await project(files), name))
  const handler = options.consumers[0]!.options.handler as unknown as () => Promise<unknown>
  return handler()
}

describe('a config in TypeScript', () => {
  it.each(kinds.flatMap((kind) => ['ts', 'mts', 'cts'].map((ending) => [kind, ending] as const)))(
    'loads in a project with package.json %s as .%s',
    async (kind, ending) => {
      const name = `tidemark.config.${ending}`
      expect(await resultOf({ 'package.json': kind, [name]: configOf('', '1') }, name)).toBe(1)
    },
  )

  it.each(kinds)('imports other TypeScript with or without ending in a project with package.json %s', async (kind) => {
    const files = {
      'package.json': kind,
      'lib/one.ts': 'export const one: number = 1',
      'lib/two.ts': "import { one } from './one.js'\nexport const two: number = one + 1",
      'tidemark.config.ts': configOf(
        "import { one } from './lib/one'\nimport { two } from './lib/two.js'",
        'one + two',
      ),
    }
    expect(await resultOf(files)).toBe(3)
  })

  it('shares its classes with the command line', async () => {
    const files = { 'tidemark.config.ts': configOf('', 'TidemarkError') }
    expect(await resultOf(files)).toBe(TidemarkError)
  })

  it('follows the paths of the nearest tsconfig', async () => {
    const files = {
      'tsconfig.json': '{"compilerOptions": {"paths": {"@lib/*": ["./wrong/*"]}}}',
      'apps/billing/tsconfig.json': '{"compilerOptions": {"paths": {"@lib/*": ["./lib/*"]}}}',
      'apps/billing/lib/one.ts': 'export const one: number = 1',
      'apps/billing/tidemark.config.ts': configOf("import { one } from '@lib/one'", 'one'),
    }
    expect(await resultOf(files, 'apps/billing/tidemark.config.ts')).toBe(1)
  })

  it('that a link leads to finds its imports from where it is', async () => {
    const folder = await project({
      'app/tidemark.config.ts': configOf("import { result } from './result.js'", 'result'),
      'app/result.ts': 'export const result = 1',
    })
    await symlink(join(folder, 'app', 'tidemark.config.ts'), join(folder, 'tidemark.config.ts'))
    expect(parseConfig(await loadConfig(join(folder, 'tidemark.config.ts'))).consumers).toHaveLength(1)
  })

  it.each([
    ['awaits what never comes', 'await new Promise(() => {})'],
    ['ends the process', 'process.exit(0)'],
  ])(
    'that %s while it is loaded is named as the reason for the end',
    async (_, statement) => {
      const folder = await project({ 'tidemark.config.mts': `${statement}\nexport default {}` })
      const args = ['--import', 'tsx', '--conditions=tidemark-source', 'src/cli/main.ts', 'lag', '--config']
      const ran = promisify(execFile)(process.execPath, [...args, join(folder, 'tidemark.config.mts')])
      await expect(ran).rejects.toMatchObject({
        code: 2,
        stderr: expect.stringContaining('the config has ended the process'),
      })
    },
    30_000,
  )

  it('is a file, and not a folder', async () => {
    const folder = await project({ 'app/tidemark.config.ts': '' })
    await expect(loadConfig(join(folder, 'app'))).rejects.toThrow('app is a folder: name the config file in it')
  })

  it('does without a tsconfig that extends what is not installed', async () => {
    const files = {
      'tsconfig.json': '{"extends": "@tsconfig/absent/tsconfig.json"}',
      'tidemark.config.ts': configOf('', '1'),
    }
    expect(await resultOf(files)).toBe(1)
    const missing = resultOf({ ...files, 'tidemark.config.ts': configOf("import '@lib/one'", '1') })
    await expect(missing).rejects.toThrow(/Cannot find .*@lib\/one.*@tsconfig\/absent/s)
  })

  it('may use decorators', async () => {
    const head = `const sealed = (target: object) => Object.freeze(target)
@sealed class Books { constructor(readonly name: string) {} }`
    const files = { 'tidemark.config.ts': configOf(head, "[Object.isFrozen(Books), new Books('a').name]") }
    expect(await resultOf(files)).toEqual([true, 'a'])
  })

  it('may be written with import-require and export-assignment', async () => {
    const text = configOf('', '1')
      .replace(
        "import { consumer, defineConfig, TidemarkError } from 'tidemark'",
        "import path = require('node:path')\nimport { consumer, defineConfig } from 'tidemark'\nvoid path.sep",
      )
      .replace('export default', 'export =')
    expect(await resultOf({ 'tidemark.config.cts': text }, 'tidemark.config.cts')).toBe(1)
  })

  it('imports TypeScript later, from a handler', async () => {
    const files = {
      'package.json': kinds[0]!,
      'late.ts': 'export const late: number = 7',
      'tidemark.config.ts': configOf('', "(await import('./late')).late"),
    }
    expect(await resultOf(files)).toBe(7)
  })

  it('says where its syntax is wrong', async () => {
    const folder = await project({ 'tidemark.config.ts': 'export default {\n  a: = 1,\n}\n' })
    await expect(loadConfig(join(folder, 'tidemark.config.ts'))).rejects.toThrow(/does not load: .*config\.ts:2:/s)
  })

  it('has the same version however and wherever it is loaded', async () => {
    const head = "import { one } from './one'\nimport { fileURLToPath } from 'node:url'"
    const result = '[one, import.meta.url, import.meta.dirname, import.meta.filename, fileURLToPath(import.meta.url)]'
    const versions = new Set<string>()
    for (const kind of kinds) {
      const files = {
        'package.json': kind,
        'one.ts': 'export const one: number = 1',
        'tidemark.config.ts': configOf(head, result),
      }
      const folder = await project(files)
      const path = join(folder, 'tidemark.config.ts')
      const config = await loadConfig(path)
      versions.add(parseConfig(config, {}).consumers[0]!.version)
      const handler = config.options.consumers[0]!.options.handler as unknown as () => Promise<unknown>
      expect(await handler()).toEqual([1, `file://${path}`, folder, path, path])
    }
    expect(versions.size).toBe(1)
  })
})
