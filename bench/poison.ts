import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { countedBetween, fetchActionCounts } from './action-counts.js'
import type { Bench } from './bench.js'
import type { Job, Usage } from './job.js'
import type { IsPoison } from './message.js'
import { fewPartitions, type Options } from './options.js'
import { median } from './statistics.js'

/** Messages before anything counts: the broker compiles itself, files are read into memory. */
const warmUpMessages = 20_000
/** A run that does nothing for so long has ended: what is missing is lost, ms. */
const patience = 60_000
/** How long after the last one letters may still come back, ms. */
const returnsMs = 15_000

/** What one run came to. */
interface PoisonRun extends Usage {
  /** From the order to go until the last effect. */
  readonly seconds: number
  readonly effects: number
  readonly letters: number
  readonly duplicates: number
  /** Transactions with effects. */
  readonly chunks: number
  /** Transactions of the database, those of this bench among them. */
  readonly commits: number
  readonly rollbacks: number
  readonly actions: number
  /** The longest time that a partition had no effect of a key that has no poison, ms. */
  readonly longestPauseMs: number
}

/** One poison against none, then one in every thousand; hands on each line when it is known. */
export async function measurePoison(
  bench: Bench,
  { messages, rounds }: Pick<Options, 'messages' | 'rounds'>,
  tell: (line: object) => void,
): Promise<void> {
  const [warmUp, clean, one, many] = await Promise.all([
    filled(bench, 'warm-up', warmUpMessages),
    filled(bench, 'clean', messages),
    filled(bench, 'one', messages, (number) => number === Math.floor(messages / 2)),
    filled(bench, 'many', messages, isOneOfMany),
  ])
  await run(bench, warmUp, warmUpMessages, 'aside')
  const ratios: number[] = []
  const seconds: { clean: number; poison: number }[] = []
  for (let round = 1; round <= rounds; round++) {
    const order = round % 2 === 1 ? [clean, one] : [one, clean]
    const runs = new Map<string, PoisonRun>()
    for (const topic of order) {
      runs.set(topic, await run(bench, topic, messages, 'aside'))
      bench.say(`round ${round} of ${rounds}, ${topic}: ${JSON.stringify(runs.get(topic))}`)
    }
    const pair = { clean: runs.get(clean)!.seconds, poison: runs.get(one)!.seconds }
    seconds.push(pair)
    ratios.push(pair.poison / pair.clean)
  }
  const round = (value: number) => Number(value.toFixed(2))
  tell({
    measurement: 'one poison',
    messages,
    rounds,
    ratio: round(median(ratios)),
    ratios: ratios.map(round),
    seconds,
  })
  const { seconds: took, ...figures } = await run(bench, many, messages, 'later')
  const msgsPerSecond = Math.round(messages / took)
  tell({ measurement: 'poison in every 1,000th', messages, msgsPerSecond, seconds: took, ...figures })
}

/** One in every thousand messages, each of another key. */
function isOneOfMany(number: number): boolean {
  return number % 1_000 === (Math.floor(number / 1_000) * 37) % 1_000
}

async function filled(bench: Bench, name: string, messages: number, isPoison?: IsPoison): Promise<string> {
  const topic = `bench-poison-${name}-${randomBytes(4).toString('hex')}`
  await bench.log.create(topic, fewPartitions)
  await bench.log.fill(topic, fewPartitions, messages, isPoison)
  return topic
}

function run(bench: Bench, name: string, messages: number, poison: 'aside' | 'later'): Promise<PoisonRun> {
  const topic = { name, partitions: fewPartitions }
  const work = async (child: Parameters<Parameters<Bench['contend']>[2]>[0], job: Job): Promise<PoisonRun> => {
    const { effects, temporal } = bench
    if (temporal.metricsUrl === null) throw new Error('this Temporal server shows no metrics')
    const actions = () => fetchActionCounts(temporal.metricsUrl!, temporal.namespace)
    const [before, actionsBefore, began] = [await effects.transactions(), await actions(), Date.now()]
    await child.go()
    await doneWith(bench, job, messages)
    if (poison === 'later') await delay(returnsMs)
    const byKind = countedBetween(actionsBefore, await actions())
    const usage = await child.stop()
    const after = await effects.transactions()
    return {
      ...usage,
      ...(await effects.poisonTally(job.table, job.group)),
      seconds: ((await effects.lastAt(job.table)) - began) / 1000,
      commits: after.commits - before.commits,
      rollbacks: after.rollbacks - before.rollbacks,
      actions: Object.values(byKind).reduce((sum, count) => sum + count, 0),
    }
  }
  return bench.contend('tidemark', topic, work, { poison })
}

/** Resolves when every message has an effect or is set aside. Counts only while the table does not grow: counting takes time from the run. */
async function doneWith({ effects }: Bench, { table, group }: Job, messages: number): Promise<void> {
  let [bytes, grewAt] = [0, performance.now()]
  for (;;) {
    await delay(100)
    const now = await effects.bytes(table)
    if (now !== bytes) grewAt = performance.now()
    else if (now > 0 && (await effects.count(table)) + (await effects.letters(group)) >= messages) return
    bytes = now
    if (performance.now() - grewAt > patience) throw new Error(`not all of ${messages} messages are done`)
  }
}
