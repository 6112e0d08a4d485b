import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Answer, Asked } from './cli-host.js'

const program = fileURLToPath(new URL('./cli-host.ts', import.meta.url))
/** Milliseconds that a command may take. */
const patience = 60_000

/**
 * One process for many commands, one at a time. For commands that end by themselves. Whatever is about the process itself
 * needs one of its own: signals, its end while something hangs, the log of `start`, lines of a config in error messages.
 */
export class CliHost {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  #turn: Promise<unknown> = Promise.resolve()

  constructor(folder: string) {
    const execArgv = ['--import', import.meta.resolve('tsx/esm')]
    this.#child = fork(program, { cwd: folder, execArgv, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.#ended = once(this.#child, 'exit')
  }

  /** Resolves at the command's end. Rejects when that does not come within a minute, or when the process breaks. */
  ask(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Answer> {
    const answer = this.#turn.then(() => this.#ask({ args, env }))
    this.#turn = answer.catch(() => {})
    return answer
  }

  async #ask(asked: Asked): Promise<Answer> {
    const signal = AbortSignal.timeout(patience)
    const answered = once(this.#child, 'message', { signal }) as Promise<[Answer]>
    const broken = this.#ended.then(() => Promise.reject(new Error('the process of the commands has ended')))
    // Whoever can't be reached has ended, which is waited for below.
    this.#child.send(asked, () => {})
    try {
      return (await Promise.race([answered, broken]))[0]
    } catch (error) {
      // It may still be at it, and must not speak into the next one's answer.
      this.#child.kill('SIGKILL')
      throw new Error(`tidemark ${asked.args.join(' ')} did not come to its end`, { cause: error })
    }
  }

  async close(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }
}
