import { describePartition, type PartitionKey } from '../../src/model/partition.js'
import type { Log } from '../../src/ports/index.js'

/** How often a timer looks whether it comes in time, ms. */
const everyMs = 250
/** A timer that comes so much too late is worth a line in the log, ms. */
const blockedMs = 1_000
/** Partitions that a line names. */
const mostNamed = 5

interface InHand {
  readonly key: PartitionKey
  /** The longest that its handler has run in one go since the last look, ms. */
  ranMs: number
}

/**
 * Notices that nothing else could run: no other partition, no heartbeat. That is a handler that computes in one go, or a process that was
 * frozen. One for a worker; it has a timer only while a chunk is in hand.
 */
export class LoopMonitor {
  readonly #inHand = new Set<InHand>()
  #timer: NodeJS.Timeout | undefined
  #lookedAt = 0
  #cpu = process.cpuUsage()

  constructor(private readonly log: Log) {}

  /** A chunk of the partition is given to its handler. */
  begin(key: PartitionKey): { readonly ran: (ms: number) => void; readonly end: () => void } {
    const inHand = { key, ranMs: 0 }
    if (this.#inHand.size === 0) this.#start()
    this.#inHand.add(inHand)
    return {
      /** Its handler has run for so long without letting anything else run, ms. */
      ran: (ms) => {
        inHand.ranMs = Math.max(inHand.ranMs, ms)
      },
      end: () => {
        // A chunk may be done before the timer comes.
        if (inHand.ranMs >= blockedMs) this.#look()
        this.#inHand.delete(inHand)
        if (this.#inHand.size > 0) return
        clearInterval(this.#timer)
        this.#timer = undefined
      },
    }
  }

  #start(): void {
    this.#note()
    this.#timer = setInterval(() => this.#look(), everyMs).unref()
  }

  #note(): void {
    this.#lookedAt = performance.now()
    this.#cpu = process.cpuUsage()
    for (const one of this.#inHand) one.ranMs = 0
  }

  #look(): void {
    const ms = performance.now() - this.#lookedAt
    if (ms >= blockedMs + everyMs) this.#say(ms)
    this.#note()
  }

  #say(ms: number): void {
    const { user, system } = process.cpuUsage(this.#cpu)
    const cpuMs = Math.round((user + system) / 1_000)
    const inHand = [...this.#inHand]
    const culprit = inHand.find(({ ranMs }) => ranMs >= ms / 2)
    const named = (culprit ? [culprit] : inHand).map(({ key }) => `${describePartition(key)} (group ${key.group})`)
    const more = named.length > mostNamed ? ` and ${named.length - mostNamed} more` : ''
    const who = culprit
      ? `by the handler of ${named[0]}`
      : `while chunks were in hand of ${named.slice(0, mostNamed).join(', ')}${more}`
    const hint =
      cpuMs < ms / 4
        ? 'The process hardly used the CPU meanwhile: it was frozen, or a synchronous call waited'
        : 'Let a handler that computes for long give way between messages, or move its work into a worker thread'
    const only = inHand.length === 1 ? inHand[0] : undefined
    this.log.warn(
      { ...(culprit ?? only)?.key, blockedMs: Math.round(ms), cpuMs },
      `the event loop was blocked for ${(ms / 1_000).toFixed(1)} s ${who}. Nothing else could run, heartbeats included. ${hint}`,
    )
  }
}
