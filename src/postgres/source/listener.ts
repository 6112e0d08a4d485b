import type pg from 'pg'
import { pauseFor } from '../../model/pause.js'
import type { Outage } from '../../reading/outage.js'
import { driver } from '../client/driver.js'
import { connectionOf, type PostgresSettings } from '../client/options.js'

/**
 * Keeps one connection that LISTENs. A notification is only a hint to look; so is every new connection, since something may
 * have been missed before it. Through a pooler that passes on no notifications there is no such connection: events are found by
 * polling, which goes on in any case.
 */
export class Listener {
  #running: Promise<void> | undefined

  constructor(
    private readonly settings: PostgresSettings,
    private readonly channel: string,
    private readonly outage: Outage,
    private readonly hint: (payload: string | undefined) => void,
    /** Tells whether notifications can't reach this connection. */
    private readonly isDeaf: (client: pg.Client) => Promise<boolean>,
    /** Called once, where they can't. */
    private readonly onDeaf: () => void,
  ) {}

  /** Begins, unless it has begun already; goes on until the signal aborts. */
  start(signal: AbortSignal): void {
    this.#running ??= this.#run(signal)
  }

  /** Resolves when the connection is gone, after the signal has aborted. */
  async ended(): Promise<void> {
    await this.#running
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if ((await this.#listen(signal)) === 'deaf') return this.onDeaf()
      } catch (error) {
        if (!signal.aborted) await this.outage.pause(error, signal)
      }
    }
  }

  async #listen(signal: AbortSignal): Promise<'deaf' | 'over'> {
    const client = new driver.Client({
      ...connectionOf(this.settings),
      keepAlive: true,
      connectionTimeoutMillis: 10_000,
    })
    let end = () => {}
    const over = new Promise<unknown>((resolve) => {
      client.on('error', resolve)
      client.on('end', () => resolve(new Error('the connection for notifications ended')))
      end = () => resolve(undefined)
    })
    signal.addEventListener('abort', end, { once: true })
    client.on('notification', ({ payload }) => this.hint(payload))
    try {
      const begin = async () => {
        await client.connect()
        if (await this.isDeaf(client)) return 'deaf'
        await client.query(`listen ${driver.escapeIdentifier(this.channel)}`)
        return 'listening'
      }
      const begun = begin()
      begun.catch(() => {})
      await Promise.race([begun, over])
      if (signal.aborted) return 'over'
      if ((await begun) === 'deaf') return 'deaf'
      this.outage.worked()
      this.hint(undefined)
      const broken = await over
      if (!signal.aborted) throw broken
      return 'over'
    } finally {
      signal.removeEventListener('abort', end)
      // A server that is gone never answers the farewell.
      await Promise.race([client.end().catch(() => {}), pauseFor(1_000, new AbortController().signal)])
    }
  }
}
