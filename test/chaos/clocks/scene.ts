import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '@temporalio/client'
import { groupStatus } from '../../../src/client/status.js'
import { rowsOf } from '../../support/consume.js'
import type { ShiftedClock } from '../../support/shifted-clock.js'
import { waitFor } from '../../support/wait-for.js'
import { Workers } from '../workers.js'
import type { ClockedLog } from './logs.js'

const hour = 3_600
/** How the clock is set, seconds beside the right time, and how long it stays so, ms. */
const settings = [
  { shift: -hour, lastsMs: 8_000 },
  { shift: hour, lastsMs: 8_000 },
  { shift: 0, lastsMs: 4_000 },
]
const group = 'clocks'

export interface ClockReport {
  readonly messages: number
  readonly lost: number
  readonly repeated: number
  /** Effects that came before one of an earlier message of their partition. */
  readonly disorder: number
  /** The longest time that a partition had no effect while messages came, ms. */
  readonly pauseMs: number
  /** Partitions that do not run in the end, and why. */
  readonly stopped: readonly string[]
  /** What the clock was seen to be beside, seconds. */
  readonly seen: readonly number[]
}

export interface ClockScene {
  /** Of the handlers' database and the offset store. */
  readonly databaseUrl: string
  readonly log: ClockedLog
  readonly stream: string
  readonly temporal: { readonly address: string; readonly namespace: string }
  /** The clock that is set. */
  readonly clock: ShiftedClock
  /** Of whatever goes by that clock, ms since 1970; `worker` is asked of the effects. */
  readonly now: 'worker' | (() => Promise<number>)
}

/** Works a log under load while one clock is set back and forward by an hour. */
export async function playClocks(scene: ClockScene, client: Client): Promise<ClockReport> {
  const { databaseUrl, log, stream, temporal, clock } = scene
  const ask = <T extends object>(text: string) => rowsOf<T>(databaseUrl, text)
  await ask('create table effects (id bigserial, partition int, off bigint, worker_ms float8)')
  const workers = new Workers(
    {
      DATABASE_URL: databaseUrl,
      CLOCKS_LOG: log.kind,
      CLOCKS_ADDRESS: log.address,
      CLOCKS_STREAM: stream,
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: temporal.namespace,
      ...(scene.now === 'worker' ? clock.env : {}),
    },
    'test/chaos/clocks/tidemark.config.ts',
  )
  const load = new Load(log)
  const pauses = new Pauses(async () => {
    const rows = await ask<{ n: string }>('select max(off) n from effects group by partition order by partition')
    return rows.map(({ n }) => n)
  })
  const workerNow = async () =>
    (await ask<{ ms: number }>('select worker_ms ms from effects order by id desc limit 1'))[0]!.ms
  try {
    workers.start()
    load.begin()
    const all = async () => (await pauses.look()).length === log.partitions
    await waitFor(all, { timeout: 60_000, what: 'effects in every partition' })
    pauses.begin()
    await sleep(3_000)
    const seen: number[] = []
    for (const { shift, lastsMs } of settings) {
      await clock.shift(shift)
      await sleep(lastsMs)
      const now = scene.now === 'worker' ? await workerNow() : await scene.now()
      seen.push(Math.round((now - Date.now()) / 1_000))
    }
    await pauses.end()
    const written = await load.end()
    await waitFor(
      async () =>
        (await ask<{ n: number }>('select count(distinct (partition, off))::int n from effects'))[0]!.n >= written,
      {
        timeout: 60_000,
        what: 'all effects',
      },
    ).catch((error) => console.error(String(error)))
    const [counts] = await ask<{ n: number; repeated: number; disorder: number }>(
      `select count(distinct (partition, off))::int n, (count(*) - count(distinct (partition, off)))::int repeated,
         (select count(*)::int from (select off - lag(off) over (partition by partition order by id) step from effects) s where step < 0) disorder
       from effects`,
    )
    const { partitions } = await groupStatus(client, { group, stream })
    return {
      messages: written,
      lost: written - counts!.n,
      repeated: counts!.repeated,
      disorder: counts!.disorder,
      pauseMs: pauses.longest,
      stopped: partitions
        .filter(({ state }) => state !== 'running')
        .map((one) => `${one.partition} ${one.state}: ${one.reason}`),
      seen,
    }
  } finally {
    await pauses.end()
    await load.end()
    await workers.end()
    await clock.shift(0)
  }
}

/** Writes messages all the time. */
class Load {
  #written = 0
  #over = false
  #running: Promise<void> = Promise.resolve()

  constructor(private readonly log: ClockedLog) {}

  begin(): void {
    this.#running = (async () => {
      while (!this.#over) {
        await this.log.write(this.#written, 10)
        this.#written += 10
        await sleep(100)
      }
    })()
    this.#running.catch(() => {})
  }

  /** How many messages there are. */
  async end(): Promise<number> {
    this.#over = true
    await this.#running
    return this.#written * this.log.partitions
  }
}

/** How long partitions stand still, by this process's own measure. */
class Pauses {
  longest = 0
  #over = false
  #running: Promise<void> = Promise.resolve()

  constructor(readonly look: () => Promise<string[]>) {}

  begin(): void {
    this.#running = (async () => {
      let before: string[] = []
      let since: number[] = []
      while (!this.#over) {
        const [at, now] = [performance.now(), await this.look()]
        since = now.map((place, partition) => (place === before[partition] ? since[partition]! : at))
        this.longest = Math.round(Math.max(this.longest, ...since.map((moved) => at - moved)))
        before = now
        await sleep(100)
      }
    })()
    this.#running.catch(() => {})
  }

  async end(): Promise<void> {
    this.#over = true
    await this.#running
  }
}
