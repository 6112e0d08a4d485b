import { setTimeout as pause } from 'node:timers/promises'
import { type EventLog, makeDeposits } from './event-log.js'
import type { Ledger } from './ledger.js'
import type { Screen } from './screen.js'
import type { WorkerProcess } from './worker-process.js'

/** Events in one append. */
const perAppend = 2_000
/** The worker is killed when this share of the events is in the table. */
const killAt = 0.4
/** No more than this share is appended before the kill, so that it comes in the middle on a fast machine, too. */
const holdAt = 0.7
const lookEvery = 100
/** With no new row for so long the run has failed, ms. */
const patience = 45_000

export interface Parts {
  readonly events: number
  readonly log: EventLog
  readonly ledger: Ledger
  readonly worker: WorkerProcess
  readonly screen: Screen
}

export interface Outcome {
  readonly kills: number
  /** From the first event that was appended behind a running worker to the last row, kill included. */
  readonly seconds: number
}

/** Appends events while a worker handles them, kills the worker in the middle, and lets another one finish. */
export async function run(parts: Parts): Promise<Outcome> {
  const { events, log, ledger, worker, screen } = parts
  let appended = 0
  let failure: unknown
  const append = async (until: number) => {
    while (appended < until) {
      const last = Math.min(appended + perAppend, until)
      await log.append(makeDeposits(appended + 1, last))
      appended = last
    }
  }
  /** Lets the appends go on by themselves; whoever waits for rows is told when they fail. */
  const appending = (until: number) =>
    append(until).catch((error: unknown) => {
      failure = error
    })

  /** Waits until the table holds `wanted` rows. */
  const reach = async (wanted: number) => {
    let [best, since] = [-1, performance.now()]
    for (;;) {
      await worker.check()
      if (failure) throw failure
      const rows = await ledger.rows()
      screen.show({ events, appended, rows })
      if (rows >= wanted) return
      if (rows > best) [best, since] = [rows, performance.now()]
      if (performance.now() - since > patience)
        throw new Error(`no new row for ${patience / 1000} s; the worker said:\n${await worker.lastLines()}`)
      await pause(lookEvery)
    }
  }

  screen.say(`worker: ${worker.command}`)
  await worker.start()
  // The first event's row says that the worker is up.
  await append(1)
  await reach(1)
  const begin = performance.now()

  screen.say(`appending ${events.toLocaleString('en-US')} events while the worker handles them`)
  const half = appending(Math.ceil(events * holdAt))
  await reach(Math.ceil(events * killAt))
  await worker.kill()
  const killed = performance.now()
  screen.say('killed the worker with SIGKILL, in the middle of its work; starting another one')
  await worker.start()
  const before = await ledger.rows()
  await half
  const rest = appending(events)
  await reach(before + 1)
  screen.say(`the other one goes on, ${((performance.now() - killed) / 1000).toFixed(1)} s after the kill`)
  await reach(events)
  await rest
  return { kills: 1, seconds: (performance.now() - begin) / 1000 }
}
