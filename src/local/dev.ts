import net from 'node:net'
import { addressText, type HostAndPort, loopback } from '../model/address.js'
import { TidemarkError } from '../model/errors.js'
import type { Whereabouts } from '../model/whereabouts.js'
import { isFree } from './free-ports.js'
import { startKafka } from './kafka.js'
import { quickKafkaProgram } from './kafka-program.js'
import { oneOf } from './one-of.js'
import { createDatabase, startPostgres } from './postgres.js'
import { postgresPrograms } from './postgres-program.js'
import type { Progress } from './progress.js'
import { startRabbitmq } from './rabbitmq.js'
import { rabbitmqProgram } from './rabbitmq-program.js'
import { startTemporal } from './temporal.js'
import { temporalProgram } from './temporal-program.js'

/** A server that a config needs. */
export type Needed =
  | Whereabouts
  | (Omit<Whereabouts, 'server'> & { readonly server: 'temporal'; readonly namespace: string })

/** What has become of a needed server. */
export interface DevServer {
  readonly server: Needed['server']
  /** `host:port` */
  readonly address: string
  /**
   * - `started`    it runs from now on, with nothing in it, until `stop`
   * - `running`    something answered there already
   * - `elsewhere`  it is not on this machine: left alone
   */
  readonly state: 'started' | 'running' | 'elsewhere'
  /** The Temporal UI. */
  readonly ui?: string
}

/** Where Temporal's own command line has the UI. */
const usualUi = 8233

/**
 * Starts what a config needs and nobody runs yet, at the addresses that the config names. Everything listens on 127.0.0.1 only, is empty,
 * and ends with this process, even by kill -9.
 *
 * @throws TidemarkError CONFIG_INVALID for a server that can't be started here; UNREACHABLE for one that doesn't start, after ending the others
 */
export async function startNeeded(
  needed: readonly Needed[],
  progress: Progress,
): Promise<{ readonly servers: readonly DevServer[]; stop(): Promise<void> }> {
  const closers: (() => Promise<void>)[] = []
  const stop = async () => void (await Promise.all(closers.splice(0).map((close) => close())))
  const outcomes = await Promise.allSettled(distinct(needed).map((one) => provide(one, progress, closers)))
  const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
  if (failures.length > 0) {
    await stop()
    throw oneOf(failures)
  }
  return { servers: outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : [])), stop }
}

/** A server that several parts of a config need is one; its databases are several. */
function distinct(needed: readonly Needed[]): Needed[][] {
  const all = new Map<string, Needed[]>()
  for (const one of needed) {
    const id = `${one.server} ${one.addresses.map(addressText).join()}`
    all.set(id, [...(all.get(id) ?? []), one])
  }
  return [...all.values()]
}

async function provide(
  same: readonly Needed[],
  progress: Progress,
  closers: (() => Promise<void>)[],
): Promise<DevServer> {
  const [one] = same
  const { server, addresses } = one!
  const address = addresses.map(addressText).join()
  if ((await Promise.all(addresses.map(answers))).includes(true)) return { server, address, state: 'running' }
  const here = addresses.find(({ host }) => loopback.has(host))
  if (!here) return { server, address, state: 'elsewhere' }
  if (same.some(({ secured }) => secured))
    throw new TidemarkError(
      'CONFIG_INVALID',
      `${nameOf(server)} at ${addressText(here)} is to use TLS, or logins or virtual hosts of its own: one that is started for development has none. ` +
        'Leave these out of the config here, for example by an environment variable, or start the server yourself',
    )
  const started = await start(one!, here.port, same, progress)
  closers.push(() => started.server.close())
  return { server, address: addressText(here), state: 'started', ...(started.ui && { ui: started.ui }) }
}

async function start(
  one: Needed,
  port: number,
  same: readonly Needed[],
  progress: Progress,
): Promise<{ readonly server: { close(): Promise<void> }; readonly ui?: string }> {
  switch (one.server) {
    case 'temporal': {
      const { namespace } = one
      const ui = (await isFree(usualUi)) ? { uiPort: usualUi } : {}
      const temporal = await startTemporal(await temporalProgram(progress), { port, namespace, ...ui })
      return { server: temporal.server, ...(temporal.uiUrl && { ui: temporal.uiUrl }) }
    }
    case 'kafka':
      return startKafka(await quickKafkaProgram(progress), { port, memory: '512m' })
    case 'rabbitmq':
      return startRabbitmq(await rabbitmqProgram(progress), { port, ...(one.login && { login: one.login }) })
    case 'postgres': {
      const { login } = one
      if (!login?.password)
        throw new TidemarkError(
          'CONFIG_INVALID',
          `Postgres at 127.0.0.1:${port}: give its connection string a password, with which the server is started: postgres://app:secret@127.0.0.1:${port}/app`,
        )
      const postgres = await startPostgres(await postgresPrograms(), { port, login })
      const databases = new Set(
        same.flatMap((other) => ('database' in other && other.database ? [other.database] : [])),
      )
      for (const database of databases) await createDatabase(postgres.connectionString, database)
      return postgres
    }
  }
}

const names = { temporal: 'Temporal', kafka: 'Kafka', postgres: 'Postgres', rabbitmq: 'RabbitMQ' } as const
export const nameOf = (server: Needed['server']): string => names[server]

function answers({ host, port }: HostAndPort): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout: 2_000 })
    const end = (answered: boolean) => {
      socket.destroy()
      resolve(answered)
    }
    socket.once('connect', () => end(true))
    socket.once('timeout', () => end(false))
    socket.once('error', () => end(false))
  })
}
