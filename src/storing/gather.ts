import { setImmediate as turn } from 'node:timers/promises'

/** Answers many questions with one request: an outcome for each, in their order. */
export type Answer<Q, A> = (questions: readonly Q[]) => Promise<readonly (A | Error)[]>

export interface GatherOptions {
  /** Questions in a round at the most. Default 500. */
  readonly most?: number
  /** Rounds under way at the same time. Default 1. */
  readonly atOnce?: number
}

interface Asked<Q, A> {
  readonly question: Q
  readonly resolve: (answer: A) => void
  readonly reject: (error: unknown) => void
}

/**
 * Gathers questions into rounds, so that hundreds of partitions share a request. A round holds what is asked in one turn of
 * the event loop; while as many rounds as allowed are under way, the next one gathers further questions.
 */
export class Gather<Q, A> {
  readonly #most: number
  readonly #waiting: Asked<Q, A>[] = []
  #free: number
  #gathering = false

  /** @param answer an error among its outcomes fails one question; when it rejects, all questions of the round fail */
  constructor(
    private readonly answer: Answer<Q, A>,
    { most = 500, atOnce = 1 }: GatherOptions = {},
  ) {
    this.#most = most
    this.#free = atOnce
  }

  /** The request is made after this call: an answer is never older than its question. */
  ask(question: Q): Promise<A> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ question, resolve, reject })
      void this.#gather()
    })
  }

  async #gather(): Promise<void> {
    if (this.#gathering) return
    this.#gathering = true
    // After all promises that are settled by now have been followed up: their callers may ask as well.
    await turn()
    this.#gathering = false
    while (this.#free > 0 && this.#waiting.length > 0) void this.#run(this.#waiting.splice(0, this.#most))
  }

  async #run(round: readonly Asked<Q, A>[]): Promise<void> {
    this.#free--
    try {
      const outcomes = await this.answer(round.map(({ question }) => question))
      for (const [index, { resolve, reject }] of round.entries()) {
        const outcome = outcomes[index]
        if (outcome instanceof Error) reject(outcome)
        else resolve(outcome as A)
      }
    } catch (error) {
      for (const { reject } of round) reject(error)
    }
    this.#free++
    if (this.#waiting.length > 0) void this.#gather()
  }
}
