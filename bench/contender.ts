/*
 * A contender's process: prepares when told, goes when told, and at the end says what it used. A process for each run, because
 * CPU time and peak memory are counted for whole processes.
 */
import type { Contender, FromChild, Job, ToChild } from './job.js'

/** Loaded when needed: none pays for the others' modules. */
async function start(job: Job): Promise<Contender> {
  const { log } = job
  if (job.contender !== 'plain') return (await import('./contenders/tidemark.js')).startTidemark(job)
  if (log.kind === 'kafka') return (await import('./contenders/plain-kafka.js')).startPlainKafka(job, log)
  return (await import('./contenders/plain-rabbitmq.js')).startPlainRabbitmq(job, log)
}

let contender: Contender | undefined
let cpuAtGo = process.cpuUsage()

async function obey(order: ToChild): Promise<FromChild> {
  if (order.do === 'prepare') {
    contender = await start(order.job)
    return { did: 'prepare' }
  }
  if (contender === undefined) throw new Error(`told to ${order.do} before prepare`)
  if (order.do === 'go') {
    cpuAtGo = process.cpuUsage()
    await contender.go()
    return { did: 'go' }
  }
  const { user, system } = process.cpuUsage(cpuAtGo)
  const cpuSeconds = (user + system) / 1e6
  if (order.do === 'look') return { did: 'look', look: { cpuSeconds, rssMb: process.memoryUsage.rss() / 1024 / 1024 } }
  // maxRSS is in kilobytes on every platform Node knows.
  const { maxRSS } = process.resourceUsage()
  const { historyEvents } = await contender.stop()
  return { did: 'stop', usage: { cpuSeconds, peakRssMb: maxRSS / 1024, historyEvents } }
}

function tell(message: FromChild): void {
  process.send?.(message)
}

function fail(error: unknown): void {
  tell({ did: 'fail', error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
}

process.on('message', (order: ToChild) => {
  obey(order).then(tell, fail)
})
// A bench that died must not leave contenders behind.
process.on('disconnect', () => process.exit(1))
process.on('unhandledRejection', fail)
