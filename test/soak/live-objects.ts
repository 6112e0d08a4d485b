import { EventEmitter, getEventListeners } from 'node:events'
import { Socket } from 'node:net'

/** Objects of one kind that garbage collection has left. Holds none of them itself. */
class Live<T extends object> {
  readonly #known = new WeakSet<T>()
  #refs: WeakRef<T>[] = []

  add(object: T): void {
    if (this.#known.has(object)) return
    this.#known.add(object)
    this.#refs.push(new WeakRef(object))
  }

  all(): T[] {
    const alive: T[] = []
    this.#refs = this.#refs.filter((ref) => {
      const object = ref.deref()
      if (object) alive.push(object)
      return object !== undefined
    })
    return alive
  }
}

const signals = new Live<AbortSignal>()
const emitters = new Live<EventEmitter>()

/** From now on, sees every signal and every emitter that somebody listens to. */
export function watchListeners(): void {
  const target = EventTarget.prototype
  const addEventListener = target.addEventListener
  target.addEventListener = function (this: EventTarget, ...rest: Parameters<typeof addEventListener>) {
    if (this instanceof AbortSignal) signals.add(this)
    return addEventListener.apply(this, rest)
  }
  const emitter = EventEmitter.prototype
  for (const name of ['on', 'addListener', 'prependListener'] as const) {
    const add = emitter[name]
    emitter[name] = function (this: EventEmitter, ...rest: Parameters<typeof add>) {
      emitters.add(this)
      return add.apply(this, rest)
    }
  }
}

export interface Listeners {
  /** Listeners to the aborts of all signals. */
  readonly abort: number
  /** Listeners to all events of all emitters. */
  readonly emitter: number
  /** Listeners to signals and events of the process. */
  readonly process: number
}

export function countListeners(): Listeners {
  const of = (one: EventEmitter) => one.eventNames().reduce((sum, name) => sum + one.listenerCount(name), 0)
  let abort = 0
  for (const signal of signals.all()) abort += getEventListeners(signal, 'abort').length
  let emitter = 0
  for (const one of emitters.all()) if (one !== process) emitter += of(one)
  return { abort, emitter, process: of(process) }
}

/** Connections that are open, by the port they lead to. */
export function countSockets(): Map<number, number> {
  const byPort = new Map<number, number>()
  for (const one of emitters.all())
    if (one instanceof Socket && !one.destroyed && one.remotePort !== undefined)
      byPort.set(one.remotePort, (byPort.get(one.remotePort) ?? 0) + 1)
  return byPort
}
