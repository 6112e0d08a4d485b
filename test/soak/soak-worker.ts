import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Answer, Order } from './orders.js'
import type { Sample } from './sample.js'

const path = (file: string) => fileURLToPath(new URL(file, import.meta.url))

/** The process of a soak's workers. */
export class SoakWorker {
  /** Rejects when the process ends unasked, so that nobody waits for its answers. */
  readonly failure: Promise<never>
  readonly #process: ChildProcess
  readonly #asked = new Map<number, { resolve: (answer: Answer) => void }>()
  #orders = 0
  #ended = false

  /** @param node the binary to run it with */
  constructor(node: string) {
    this.#process = fork(path('./host.ts'), {
      execPath: node,
      execArgv: ['--expose-gc', '--import', 'tsx', '--conditions=tidemark-source'],
      // glibc keeps what threads have freed, an arena for each of several, in pieces: that grows for an hour with deploys, and hides what leaks.
      env: { ...process.env, MALLOC_ARENA_MAX: '1' },
      stdio: ['ignore', 2, 2, 'ipc'],
    })
    this.failure = new Promise((_, reject) => {
      this.#process.once('error', reject)
      this.#process.once('exit', (code, signal) => {
        if (!this.#ended) reject(new Error(`the worker ended unasked: ${signal ?? code}`))
      })
    })
    // Who asks next is told.
    this.failure.catch(() => {})
    this.#process.on('message', (answer: Answer) => {
      this.#asked.get(answer.to)?.resolve(answer)
      this.#asked.delete(answer.to)
    })
  }

  async sample(): Promise<Sample> {
    const answer = await this.tell({ do: 'sample' })
    if (!('sample' in answer)) throw new Error('the worker answered without a sample')
    return answer.sample
  }

  /** Resolves when the order was carried out. */
  async tell(order: Order): Promise<Answer> {
    const id = ++this.#orders
    const answered = new Promise<Answer>((resolve) => this.#asked.set(id, { resolve }))
    this.#process.send({ ...order, id })
    const answer = await Promise.race([answered, this.failure])
    if ('error' in answer) throw new Error(`${order.do}: ${answer.error}`)
    return answer
  }

  /** Ends the process, whatever it does. */
  async kill(): Promise<void> {
    this.#ended = true
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exit = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await exit
  }
}
