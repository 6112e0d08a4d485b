import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { install, installedAt } from './cache.js'
import { onPath, run } from './command.js'
import { firstOf, type Way } from './lookup.js'
import { type Progress, showing } from './progress.js'

/** The last release that `go install` can build: later ones have a replace directive. */
const version = 'v1.5.1'
const installation = `temporal-${version}`

/** The ways to a `temporal` program, cheapest first. Exported for its test: the order is a promise to users. */
export function waysToTemporal(progress: Progress): Way<string>[] {
  return [
    { name: '`temporal` on PATH', find: async () => found(await onPath('temporal'), 'not there') },
    { name: 'an earlier download or build', find: async () => inCache(await installedAt(installation)) },
    {
      name: 'a download by the Temporal SDK',
      find: async () => inCache(await install(installation, (folder) => download(folder, progress), { progress })),
    },
    {
      name: `go install temporal@${version}`,
      find: async () => inCache(await install(installation, (folder) => build(folder, progress), { progress })),
    },
  ]
}

/** Path of a `temporal` program, fetched or built if this machine has none. Throws CONFIG_INVALID, saying what to install. */
export function temporalProgram(progress: Progress): Promise<string> {
  return firstOf(
    'Temporal dev server',
    waysToTemporal(progress),
    'Set TEMPORAL_ADDRESS to a running server, or install the Temporal CLI (https://docs.temporal.io/cli) or Go 1.25 or newer.',
  )
}

function found(path: string | undefined, otherwise: string): string {
  if (path === undefined) throw new Error(otherwise)
  return path
}

function inCache(folder: string | undefined): string {
  return join(found(folder, 'none in the cache'), 'temporal')
}

/**
 * The SDK downloads a server only by starting one, and can't be told to give up. So a child process does it, and is ended
 * when no first byte has come in 20 s, or not all of it in five minutes.
 */
async function download(folder: string, progress: Progress): Promise<void> {
  const into = join(folder, 'download')
  await mkdir(into)
  const giveUp = new AbortController()
  const work = run(process.execPath, ['--input-type=module', '-e', downloader, sdk(), into, version], {
    signal: giveUp.signal,
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  void watch(into, giveUp, work)
  await showing(progress, 'downloading Temporal dev server, about 60 MB, once', work).catch((error: Error) => {
    throw new Error(
      /(dns error|client error|error sending request|no answer).*/.exec(error.message)?.[0] ?? error.message,
    )
  })
  const file = (await readdir(into)).find((name) => name.startsWith('temporal') && !name.endsWith('.downloading'))
  await rename(join(into, found(file, 'the SDK stored no server')), join(folder, 'temporal'))
  await rm(into, { recursive: true })
}

/** Only development has the SDK's testing package; whoever lacks it takes another way. */
function sdk(): string {
  return pathToFileURL(createRequire(import.meta.url).resolve('@temporalio/testing')).href
}

const downloader = `
const [url, downloadDir, version] = process.argv.slice(1)
const { TestWorkflowEnvironment } = (await import(url)).default
const executable = { type: 'cached-download', downloadDir, version, ttl: '365 days' }
const environment = await TestWorkflowEnvironment.createLocal({ server: { executable } }).catch((error) => {
  console.error(error.message)
  process.exit(1)
})
await environment.teardown()
process.exit(0)
`

async function watch(folder: string, giveUp: AbortController, work: Promise<unknown>): Promise<void> {
  let done = false
  const over = () => {
    done = true
  }
  work.then(over, over)
  const begin = performance.now()
  while (!done) {
    await delay(250)
    const seconds = (performance.now() - begin) / 1000
    const started = (await readdir(folder).catch(() => [])).length > 0
    if (seconds > 20 && !started) giveUp.abort(new Error('no answer in 20 s'))
    if (seconds > 300) giveUp.abort(new Error('not done in 5 minutes'))
  }
}

async function build(folder: string, progress: Progress): Promise<void> {
  const go = found(await onPath('go'), 'no Go on PATH')
  const work = run(go, ['install', `github.com/temporalio/cli/cmd/temporal@${version}`], {
    cwd: folder,
    // A cross-compiling environment would put the program elsewhere, and one that can't run here.
    env: { ...process.env, GOBIN: folder, GOOS: '', GOARCH: '', GOFLAGS: process.env.GOFLAGS ?? '' },
  })
  await showing(progress, 'building Temporal dev server, about 3 minutes, once', work)
}
