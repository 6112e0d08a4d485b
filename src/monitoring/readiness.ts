import { isTidemarkError } from '../model/errors.js'
import type { GroupName } from '../model/partition.js'

/** A question may take so long, ms: Kubernetes' probes give up after a second. */
const patience = 800
/** An answer is good for so long, ms, whoever asks. */
const answerKeeps = 2_000

/** A part that a worker can't do without. */
export interface Part {
  /** For people: `Temporal at 127.0.0.1:7233`. */
  readonly place: string
  /** Rejects where the part is not there. */
  ask(): Promise<unknown>
}

/** What readiness knows of the worker, once it is connected. */
export interface Observed {
  readonly state: string
  readonly consumers: readonly (GroupName & { readonly partitions: number })[]
  /** Whether it asks Temporal for work: it has slices, or stands by for them. */
  readonly isPolling: boolean
  readonly parts: readonly Part[]
}

export interface Answer {
  readonly ok: boolean
  readonly body: object
}

/**
 * Whether a process is alive, and whether its worker works. Answers hold no error's text, which may quote what nobody outside should see.
 */
export class Readiness {
  #observed: (() => Observed) | null = null
  #asked: { readonly at: number; readonly missing: Promise<string[]> } | null = null

  /** The worker is connected. Until then it is not ready. */
  connected(observe: () => Observed): void {
    this.#observed = observe
  }

  /** That there is an answer says that the event loop turns. */
  live(): Answer {
    const state = this.#observed?.().state ?? 'connecting'
    const ok = state !== 'failed'
    return { ok, body: { status: ok ? 'live' : 'failed', state } }
  }

  async ready(): Promise<Answer> {
    const observed = this.#observed?.()
    if (!observed) return notReady('connecting', ['it is connecting to the parts that its config names'])
    const { state, consumers, isPolling, parts } = observed
    if (state !== 'running') return notReady(state, [`the worker is ${state}`])
    const reasons = await this.#missing(parts)
    if (!isPolling) reasons.push('it does not ask Temporal for work')
    if (reasons.length > 0) return notReady(state, reasons)
    const shown = consumers.map(({ group, stream, partitions }) => ({ group, stream, partitions }))
    return { ok: true, body: { status: 'ready', state, consumers: shown } }
  }

  async #missing(parts: readonly Part[]): Promise<string[]> {
    if (!this.#asked || performance.now() - this.#asked.at > answerKeeps) {
      const missing = Promise.all(parts.map(reasonOf)).then((reasons) => reasons.filter((reason) => reason !== null))
      this.#asked = { at: performance.now(), missing }
    }
    return [...(await this.#asked.missing)]
  }
}

function notReady(state: string, reasons: readonly string[]): Answer {
  return { ok: false, body: { status: 'not ready', state, reasons } }
}

/** Why a part is not there; null where it is. */
async function reasonOf({ place, ask }: Part): Promise<string | null> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`${place} has not answered for ${patience} ms`), patience).unref()
  })
  const answer = ask().then(
    () => null,
    (error: unknown) => `${place} does not answer${isTidemarkError(error) ? ` (${error.code})` : ''}`,
  )
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}
