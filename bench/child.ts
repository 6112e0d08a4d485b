import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { FromChild, Job, Look, ToChild, Usage } from './job.js'

const entry = fileURLToPath(new URL('./contender.ts', import.meta.url))

/** A contender in a process of its own. */
export class Child {
  /** Rejects when the contender fails or its process ends unasked, so that nobody waits for effects that will not come. */
  readonly failure: Promise<never>
  readonly #process: ChildProcess
  #killed = false
  #answered: (answer: FromChild) => void = () => {}

  private constructor(name: string) {
    // Standard output is the bench's alone; whatever a contender prints goes to standard error.
    this.#process = fork(entry, { stdio: ['ignore', 2, 2, 'ipc'] })
    this.failure = new Promise((_, reject) => {
      this.#process.on('message', (answer: FromChild) => {
        if (answer.did === 'fail') reject(new Error(`${name}: ${answer.error}`))
        else this.#answered(answer)
      })
      this.#process.once('error', reject)
      this.#process.once('exit', (code, signal) => {
        if (!this.#killed) reject(new Error(`${name} ended unasked: ${signal ?? code}`))
      })
    })
    // It may fail while nobody waits for it; whoever asks next is told.
    this.failure.catch(() => {})
  }

  /** Starts the process; resolves when the contender is connected. */
  static async prepare(job: Job): Promise<Child> {
    const child = new Child(job.contender)
    try {
      await child.#tell({ do: 'prepare', job })
      return child
    } catch (error) {
      child.kill()
      throw error
    }
  }

  /** Resolves when it has begun to consume. */
  async go(): Promise<void> {
    await this.#tell({ do: 'go' })
  }

  /** What it has used so far. */
  async look(): Promise<Look> {
    const answer = await this.#tell({ do: 'look' })
    if (answer.did !== 'look') throw new Error(`the contender answered ${answer.did} to look`)
    return answer.look
  }

  /** Ends the contender in order, then its process. */
  async stop(): Promise<Usage> {
    const answer = await this.#tell({ do: 'stop' })
    if (answer.did !== 'stop') throw new Error(`the contender answered ${answer.did} to stop`)
    this.kill()
    return answer.usage
  }

  /** Ends the process, whatever it does. */
  kill(): void {
    this.#killed = true
    this.#process.kill('SIGKILL')
  }

  /** One order at a time: the next answer belongs to it. */
  #tell(order: ToChild): Promise<FromChild> {
    const answer = new Promise<FromChild>((resolve) => {
      this.#answered = resolve
    })
    this.#process.send(order)
    return Promise.race([answer, this.failure])
  }
}
