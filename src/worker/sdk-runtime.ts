import { get } from 'node:http'
import { createServer } from 'node:net'
import { IllegalStateError } from '@temporalio/common'
import { type Logger, Runtime, type TelemetryOptions } from '@temporalio/worker'
import { messageOf } from '../model/errors.js'
import type { SdkMetrics } from '../monitoring/metrics.js'
import type { Log } from '../ports/index.js'

/** So often a port is looked for that is still free when the SDK takes it. */
const tries = 3
/** How long the SDK may take for its metrics, ms. */
const patience = 1_000

/**
 * Who has set up the SDK's runtime: one for a process, which ends with its last worker, and is set up before the next one. Where the
 * process has done so before Tidemark, its settings stay for good.
 */
let owner: 'nobody' | 'us' | 'others' = 'nobody'
/** Where the runtime that we have set up serves its metrics; null where it has none. */
let metricsPort: number | null = null

/** Sets the SDK's runtime up, unless there is one already. */
export async function setUpRuntime(
  logger: Logger,
  { log, metrics }: { readonly log: Log; readonly metrics: boolean },
): Promise<void> {
  if (owner === 'others') return
  for (let tried = 0; metrics && tried < tries; tried++) {
    const port = await freePort()
    try {
      if (install(logger, port, log)) metricsPort = port
      return
    } catch (error) {
      log.debug({ port, error: messageOf(error) }, 'the metrics of the Temporal SDK could not have their port')
    }
  }
  if (install(logger, null, log)) metricsPort = null
}

/** Returns whether it was for us to do. Throws where the port is taken. */
function install(logger: Logger, port: number | null, log: Log): boolean {
  try {
    Runtime.install({ logger, telemetryOptions: telemetry(port) })
    owner = 'us'
    return true
  } catch (error) {
    if (!(error instanceof IllegalStateError)) throw error
    if (owner === 'nobody') {
      owner = 'others'
      log.debug({ error: messageOf(error) }, "Temporal's own log stays where this process has sent it before")
    }
    return false
  }
}

function telemetry(port: number | null): TelemetryOptions {
  const logging = { forward: {}, filter: 'ERROR' }
  if (port === null) return { logging }
  // Names as Prometheus wants them, and as the SDKs of other languages have them on request.
  const prometheus = { countersTotalSuffix: true, unitSuffix: true, useSecondsForDurations: true }
  return { logging, metrics: { prometheus: { bindAddress: `127.0.0.1:${port}`, ...prometheus } } }
}

/** The SDK hands its metrics out over HTTP only: on a port of this machine that nobody else has to know. */
export const sdkMetrics: SdkMetrics = async () => {
  if (owner === 'others')
    return { absent: 'Without the metrics of the Temporal SDK: this process has installed a Runtime of its own.' }
  if (metricsPort === null)
    return { absent: 'Without the metrics of the Temporal SDK: its Runtime was set up for a worker without metrics.' }
  try {
    return { text: await textAt(metricsPort) }
  } catch {
    return { absent: 'Without the metrics of the Temporal SDK, which do not answer.' }
  }
}

function textAt(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = get({ host: '127.0.0.1', port, path: '/metrics', agent: false, timeout: patience }, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.on('error', reject)
      response.on('end', () => resolve(Buffer.concat(pieces).toString()))
    })
    asked.on('timeout', () => asked.destroy(new Error(`no answer for ${patience} ms`)))
    asked.on('error', reject)
  })
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
