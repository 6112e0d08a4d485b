import { setTimeout as sleep } from 'node:timers/promises'
import { Client, Connection } from '@temporalio/client'
import pg from 'pg'
import { groupsOf } from './config.js'
import { type Figure, idleGroups, judge } from './judgement.js'
import type { Leak, Places } from './orders.js'
import { type Deeds, People } from './people.js'
import type { Sample } from './sample.js'
import { SoakWorker } from './soak-worker.js'
import { Traffic } from './traffic.js'

export interface SoakPlan {
  readonly minutes: number
  /** Messages a second, in all. */
  readonly rate: number
  /** Pause between two things that people do, ms. */
  readonly pauseMs: number
  /** Pause between two samples, ms. Each begins with a garbage collection. */
  readonly sampleMs: number
  /** The binary that runs the worker. */
  readonly node: string
  readonly leak: Leak | null
  readonly say: (text: string) => void
}

export interface SoakReport {
  readonly figures: readonly Figure[]
  /** What the process still had when its worker had ended. */
  readonly left: Readonly<Record<string, number>>
  /** Messages of each busy group; what was reset or failed counts again. */
  readonly handled: Readonly<Record<string, number>>
  readonly written: Readonly<Record<string, number>>
  readonly deeds: Deeds
  /** What was not as it should be; empty where all is well. */
  readonly faults: readonly string[]
}

/** What must be gone when the worker has ended. */
const gone = ['abort listeners', 'timers', 'connections to Kafka', 'connections to Postgres', 'connections to RabbitMQ']

/** Runs a worker under load, samples what it holds, and judges whether that grows. */
export async function soak(places: Places, plan: SoakPlan): Promise<SoakReport> {
  const endings: (() => Promise<unknown>)[] = []
  try {
    const traffic = await Traffic.prepare(places)
    endings.push(() => traffic.close())
    const server = new pg.Client({ connectionString: places.databaseUrl, application_name: 'soak' })
    // The next query reports it.
    server.on('error', () => {})
    await server.connect()
    endings.push(() => server.end())
    const connection = await Connection.connect({ address: places.temporal.address })
    endings.push(() => connection.close())
    const client = new Client({ connection, namespace: places.temporal.namespace })
    const worker = new SoakWorker(plan.node)
    endings.push(() => worker.kill())

    const sample = async () => withBackends(await worker.sample(), await backends(server))
    const people = new People(places, client, worker, plan.leak)
    await people.deploy()
    traffic.begin(plan.rate)
    const over = new AbortController()
    const acting = people.busyUntil(over.signal, plan.pauseMs)
    // Awaited below, where it tells of a worker that is gone.
    acting.catch(() => {})
    const samples: Sample[] = []
    let cold = 0
    const end = Date.now() + plan.minutes * 60_000
    let said = Date.now()
    while (Date.now() < end) {
      const began = Date.now()
      samples.push(await sample())
      if (!people.areWarm) cold = samples.length
      if (began - said > 60_000) {
        said = began
        plan.say(line(samples.at(-1)!))
        plan.say(`written ${JSON.stringify(traffic.written)}`)
      }
      await sleep(Math.max(0, plan.sampleMs - (Date.now() - began)))
    }
    over.abort()
    await acting
    await traffic.end()
    const behind = await behindOf(people)
    const { handled } = await worker.sample()
    await worker.tell({ do: 'end' })
    const left = await leftOf(sample)

    const figures = judge(samples, cold)
    const busy = groupsOf(places).flatMap((group) => (group.busy ? [group.group] : []))
    const faults = [
      ...figures.filter(({ isFlat }) => !isFlat).map(grown),
      ...idleGroups(samples, busy).map((group) => `${group} handles nothing any more`),
      ...gone.filter((name) => left[name] !== 0).map((name) => `${left[name]} ${name} are left of an ended worker`),
      ...lost(traffic.written, handled),
      ...behind,
      ...people.deeds.failed,
    ]
    return { figures, left, handled, written: traffic.written, deeds: people.deeds, faults }
  } finally {
    for (const close of endings.reverse()) await close().catch((error) => plan.say(`could not end: ${error}`))
  }
}

function grown({ name, unit, before, after, allowed }: Figure): string {
  const text = (figure: number) => (unit === 'bytes' ? `${(figure / 2 ** 20).toFixed(1)} MB` : `${figure}`)
  return `${name} grows from ${text(before)} to ${text(after)}, and ${text(allowed)} of growth is noise`
}

/** Groups that have handled less than was written. A reset or a failure only adds. */
function lost(written: Readonly<Record<string, number>>, handled: Readonly<Record<string, number>>): string[] {
  return Object.entries(written).flatMap(([group, count]) => {
    const missing = count - (handled[group] ?? 0)
    return missing > 0 ? [`${missing} messages of ${group} were never handled`] : []
  })
}

/** Groups that do not come to the end of their stream when nobody writes or commands any more, and why. */
async function behindOf(people: People): Promise<string[]> {
  for (let tries = 1; ; tries++) {
    const views = await people.look()
    const behind = views.filter(({ lag, problem }) => lag !== '0' || problem !== null)
    if (behind.length === 0) return []
    if (tries === 60)
      return behind.map(({ group, lag, partitions, notes, problem }) => {
        const states = partitions.map(({ partition, state, reason }) => `${partition} ${state} ${reason}`)
        return `${group} stays ${lag} messages behind: ${[...states, ...notes, problem].join('; ')}`
      })
    await sleep(500)
  }
}

/** What an ended worker leaves. A connection takes a moment to be gone after it was told to end. */
async function leftOf(sample: () => Promise<Sample>): Promise<Readonly<Record<string, number>>> {
  for (let tries = 1; ; tries++) {
    const { counts } = await sample()
    if (tries === 10 || gone.every((name) => counts[name] === 0)) return counts
    await sleep(500)
  }
}

/** Connections as the server sees them. */
async function backends(server: pg.Client): Promise<number> {
  const { rows } = await server.query<{ n: number }>(
    `select count(*)::int n from pg_stat_activity where datname = current_database() and application_name <> 'soak'`,
  )
  return rows[0]!.n
}

function withBackends(sample: Sample, backends: number): Sample {
  return { ...sample, counts: { ...sample.counts, 'backends of Postgres': backends } }
}

function line({ memory, counts, handled }: Sample): string {
  const mb = Object.entries(memory).map(([name, bytes]) => `${name} ${Math.round(bytes / 2 ** 20)} MB`)
  const of = Object.entries(counts).map(([name, count]) => `${name} ${count}`)
  const messages = Object.values(handled).reduce((sum, one) => sum + one, 0)
  return [...mb, ...of, `${messages} messages`].join(', ')
}
