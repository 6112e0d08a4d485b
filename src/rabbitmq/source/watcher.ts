import { setMaxListeners } from 'node:events'
import { joined } from '../../model/signals.js'
import type { Log } from '../../ports/index.js'
import { Outage } from '../../reading/outage.js'
import { rabbitmqError } from '../client/failures.js'
import type { Links } from '../client/links.js'
import { readChunk } from './chunk.js'
import type { Offsets } from './offsets.js'

/** Treat a retryable error as permanent after this many in a row. */
const patience = 5

/** Waits for what is not written yet: with a subscription to each partition waited for, all on one connection. */
export class Watcher {
  readonly #end = new AbortController()

  constructor(
    private readonly links: Links,
    private readonly offsets: Offsets,
    private readonly log: Log,
  ) {
    // Each partition that is waited for listens.
    setMaxListeners(0, this.#end.signal)
  }

  async wait(partition: number, position: bigint, signal: AbortSignal): Promise<boolean> {
    const either = joined(signal, this.#end.signal)
    try {
      return await this.#wait(partition, position, either.signal)
    } finally {
      either.leave()
    }
  }

  async #wait(partition: number, position: bigint, signal: AbortSignal): Promise<boolean> {
    const { settings } = this.links
    const outage = new Outage(this.log, { stream: settings.name, partition }, 'waiting for new messages')
    for (let finals = 0; !signal.aborted; ) {
      try {
        await this.#arrival(partition, position, signal)
        outage.worked()
        return true
      } catch (error) {
        if (signal.aborted) break
        // Nothing will ever come; the reader says why.
        if (rabbitmqError(error, settings, partition).effect === 'stop' && ++finals > patience) return true
        await outage.pause(error, signal)
      }
    }
    return false
  }

  close(): void {
    this.#end.abort()
  }

  async #arrival(partition: number, position: bigint, signal: AbortSignal): Promise<void> {
    const stream = await this.links.nameOf(partition)
    const { committed } = await this.offsets.chunks(stream)
    // The broker would stay silent beyond the head, for instance of a stream created anew; the reader says what is wrong.
    if (position > committed && position > (await this.offsets.boundsOf(stream)).head) return
    const subscription = await this.links.subscribe(stream, { offset: position })
    try {
      for (;;) {
        const { user, next } = readChunk((await subscription.next(signal)).chunk)
        if (user && next > position) return
      }
    } finally {
      subscription.close()
    }
  }
}
