import type { HandlerContext, HandlerKind, TransactionContext } from '../handlers/handler.js'
import type { Message } from '../ports/index.js'
import type { Life } from './life.js'

/** Which calls of a handler `failNext` is about. */
export interface FailOptions {
  /** How many calls fail. Default 1. */
  readonly times?: number
  /** Only calls that have a message for which this returns true. */
  readonly where?: (message: Message) => boolean
  /** Only calls of this group. */
  readonly group?: string
}

/** One call of a handler. */
export interface HandlerCall {
  readonly group: string
  readonly stream: string
  readonly partition: number
  /** What the batch's attempt was: see `HandlerContext.attempt`. */
  readonly attempt: number
  readonly messages: readonly Message[]
  /** What it has thrown; undefined where it has returned. */
  readonly error?: unknown
}

interface Fault extends FailOptions {
  readonly error: unknown
  left: number
}

/** What becomes of the calls of all handlers: which fail, and which there were. */
export class Handling {
  readonly calls: HandlerCall[] = []
  readonly #faults: Fault[] = []

  failNext(error: unknown, options: FailOptions): void {
    this.#faults.push({ ...options, error, left: options.times ?? 1 })
  }

  /** The handler as a worker of this life calls it. */
  observed(handler: HandlerKind, life: Life): HandlerKind {
    const around =
      <C extends HandlerContext>(handle: (messages: readonly Message[], context: C) => Promise<void> | void) =>
      (messages: readonly Message[], context: C): Promise<void> =>
        this.#call(messages, context, () => life.unlessKilled(Promise.resolve(handle(messages, context))))
    if (handler.kind === 'chunk') return { ...handler, handle: around<HandlerContext>(handler.handle) }
    return { ...handler, handle: around<TransactionContext>(handler.handle) }
  }

  async #call(messages: readonly Message[], context: HandlerContext, handle: () => Promise<void>): Promise<void> {
    const { group, stream, partition, attempt } = context
    const call = { group, stream, partition, attempt, messages }
    try {
      const fault = this.#faults.find((one) => isMeant(one, call))
      if (fault && --fault.left === 0) this.#faults.splice(this.#faults.indexOf(fault), 1)
      if (fault) throw fault.error
      const returned = await handle()
      this.calls.push(call)
      return returned
    } catch (error) {
      this.calls.push({ ...call, error })
      throw error
    }
  }
}

function isMeant({ group, where }: Fault, call: HandlerCall): boolean {
  return (group === undefined || group === call.group) && (where === undefined || call.messages.some(where))
}
