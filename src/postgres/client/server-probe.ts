import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { ask } from './ask.js'
import { isOutage } from './pool.js'

/** A transaction that is older is a reason to ask whether the server still answers, as often as that, ms. */
const everyMs = 4_000
/** How long an answer may take, ms. */
const answerMs = 6_000
/** Unanswered questions in a row that mean that nobody is there. */
const enough = 2
/** An answer that is found missing so many ms too late may be there, unread: this process did not run. */
const lateMs = 1_000
/** The server has no room for another connection: an answer, too. */
const tooManyConnections = '53300'

interface Watch {
  readonly since: number
  readonly fail: (error: Error) => void
}

/**
 * Notices a server that is frozen or cut off while transactions wait for it: their own statements may take as long as they like, and a
 * connection whose wire was cut looks open for a quarter of an hour. So the server is asked something simple beside them. One that is only
 * slow at a statement answers that at once. It takes some 20 s to be sure, and no time of an application counts.
 */
export class ServerProbe {
  readonly #watches = new Set<Watch>()
  #asking = false
  #timer: NodeJS.Timeout | undefined

  /** @param control connections for statements that take milliseconds */
  constructor(private readonly control: pg.Pool) {}

  /** What `work` gives. @throws what `work` throws; an error with code ETIMEDOUT as soon as the server does not answer any more */
  async during<T>(work: Promise<T>): Promise<T> {
    let fail: Watch['fail'] = () => {}
    const silent = new Promise<never>((_, reject) => {
      fail = reject
    })
    const watch = { since: performance.now(), fail }
    this.#watches.add(watch)
    this.#timer ??= setInterval(() => void this.#look(), everyMs).unref()
    try {
      return await Promise.race([work, silent])
    } finally {
      this.#watches.delete(watch)
      if (this.#watches.size === 0) {
        clearInterval(this.#timer)
        this.#timer = undefined
      }
    }
  }

  async #look(): Promise<void> {
    const isOld = ({ since }: Watch) => performance.now() - since >= everyMs
    if (this.#asking || ![...this.#watches].some(isOld)) return
    this.#asking = true
    try {
      for (let unanswered = 0; unanswered < enough; unanswered++) if (await this.#answers()) return
      const error = Object.assign(new Error(`Postgres did not answer for ${(enough * answerMs) / 1_000} s`), {
        code: 'ETIMEDOUT',
      })
      for (const { fail } of this.#watches) fail(error)
    } finally {
      this.#asking = false
    }
  }

  async #answers(): Promise<boolean> {
    const began = performance.now()
    const over = new AbortController()
    // Waiting for a free connection counts: who holds it gets no answer either.
    const late = sleep(answerMs, false, { signal: over.signal }).catch(() => false)
    const answer = ask(this.control, 'select 1', [], { within: answerMs }).then(
      () => true,
      (error) => !isOutage(error) || (error as { code?: unknown }).code === tooManyConnections,
    )
    const answered = await Promise.race([answer, late])
    over.abort()
    return answered || performance.now() - began > answerMs + lateMs
  }
}
