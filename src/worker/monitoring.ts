import { createRequire } from 'node:module'
import type { Worker } from '@temporalio/worker'
import { describeAddress, parseListenAddress } from '../monitoring/address.js'
import type { Meters } from '../monitoring/metrics.js'
import { PageServer } from '../monitoring/page-server.js'
import { type Observed, type Part, Readiness } from '../monitoring/readiness.js'
import type { Log } from '../ports/index.js'
import { sdkMetrics } from './sdk-runtime.js'

const { version } = createRequire(import.meta.url)('tidemark/package.json') as { version: string }

/** What of a worker can be monitored, where that was asked for. */
export interface MonitoringOptions {
  /**
   * Serves `/livez`, `/readyz` and `/metrics`, from before it connects until the worker has ended: a port of 127.0.0.1, or `host:port`
   * (`0.0.0.0:9464`). Port 0: a free one; see `TidemarkWorker.monitoredAt`. Default: nothing is served.
   */
  readonly serve?: number | string
  /** Collects metrics, for a program that serves `TidemarkWorker.metrics` by itself. Default: true with `serve`, else false. */
  readonly metrics?: boolean
}

/** Serves and collects for one worker, as long as it lives. */
export class Monitoring {
  readonly #readiness = new Readiness()
  #server: PageServer | null = null

  private constructor(readonly metrics: Meters | null) {}

  /** @throws TidemarkError CONFIG_INVALID where the address is none, or can't be listened on */
  static async begin({ serve, metrics = false }: MonitoringOptions, log: Log): Promise<Monitoring> {
    const address = serve === undefined ? null : parseListenAddress(serve, 'serve')
    if (!address && !metrics) return new Monitoring(null)
    // Others need not load what counts.
    const { Meters } = await import('../monitoring/metrics.js')
    const meters = new Meters(version, sdkMetrics)
    const monitoring = new Monitoring(meters)
    if (!address) return monitoring
    const parts = { metrics: meters, readiness: monitoring.#readiness, log }
    try {
      monitoring.#server = await PageServer.listen(address, parts)
      return monitoring
    } catch (error) {
      await monitoring.close()
      throw error
    }
  }

  /** Where it serves: `http://127.0.0.1:9464`; null where it does not. */
  get url(): string | null {
    return this.#server && describeAddress(this.#server.address)
  }

  /** The worker is made, and depends on these parts. */
  connected(
    worker: Pick<Observed, 'state' | 'consumers'>,
    workers: readonly Pick<Worker, 'getState'>[],
    parts: readonly Part[],
  ): void {
    this.#readiness.connected(() => ({
      state: worker.state,
      consumers: worker.consumers,
      isPolling: workers.every((one) => one.getState() === 'RUNNING'),
      parts,
    }))
  }

  async close(): Promise<void> {
    this.metrics?.end()
    await this.#server?.close()
  }
}
