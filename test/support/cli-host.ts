import { createRequire, register } from 'node:module'
import { pathToFileURL } from 'node:url'
import { tidemarkProgram } from './built.js'

/**
 * A process that runs one command line after the other, each as the program does it in a process of its own: loading
 * everything is what takes a command's time. A command has its own arguments and environment, a config that is loaded anew,
 * and an end that is its alone. CliHost starts it, and says what it can't be asked.
 */
export interface Asked {
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
}

export interface Answer {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

// The config that the first command has loaded would be remembered: natively by Node, and by jiti among the CommonJS modules.
const anew = `
  let loads = 0
  export async function resolve(specifier, context, next) {
    const found = await next(specifier, context)
    return /\\.config\\.[cm]?[jt]s$/.test(specifier) ? { ...found, url: found.url + '?load=' + ++loads } : found
  }`
register(`data:text/javascript,${encodeURIComponent(anew)}`)
const { cache } = createRequire(import.meta.url)

function forgetConfigs(): void {
  for (const path of Object.keys(cache)) if (/\.config\.[cm]?[jt]s$/.test(path)) delete cache[path]
}

/** Thrown into a command where it ends its process, so that it does not go on. */
class Ended extends Error {}

const main = pathToFileURL(tidemarkProgram).href
let commands = 0

async function run({ args, env }: Asked): Promise<Answer> {
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name]
  Object.assign(process.env, env)
  process.argv = [process.execPath, main, ...args]
  forgetConfigs()
  process.exitCode = undefined
  const said = { stdout: '', stderr: '' }
  const originals = { exit: process.exit, stdout: process.stdout.write, stderr: process.stderr.write }
  // The first end counts: what a command does after it, a process would not have done.
  let ended = false
  try {
    const answer = new Promise<Answer>((resolve) => {
      process.exit = (code) => {
        if (!ended) resolve({ code: Number(code ?? process.exitCode ?? 0), ...said })
        ended = true
        throw new Ended()
      }
    })
    for (const stream of ['stdout', 'stderr'] as const)
      process[stream].write = (piece: string | Uint8Array, ...rest: unknown[]) => {
        if (!ended) said[stream] += piece
        const written = rest.at(-1)
        if (typeof written === 'function') process.nextTick(() => tillEnded(written as () => void))
        return true
      }
    // It may end in the middle of this, and what is thrown then has to come through before the next one starts.
    await import(`${main}?command=${++commands}`).catch((error) => {
      if (!(error instanceof Ended)) throw error
    })
    return await answer
  } finally {
    process.exit = originals.exit
    process.stdout.write = originals.stdout
    process.stderr.write = originals.stderr
    // Each command listens; a process has one.
    process.stdout.removeAllListeners('error')
    process.stderr.removeAllListeners('error')
  }
}

function tillEnded(step: () => void): void {
  try {
    step()
  } catch (error) {
    if (!(error instanceof Ended)) throw error
  }
}

process.on('message', async (asked: Asked) => process.send!(await run(asked)))
process.once('disconnect', () => process.exit())
