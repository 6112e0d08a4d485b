import { randomBytes } from 'node:crypto'
import { messageOf } from '../src/model/errors.js'
import { type ActionLine, countActions } from './actions.js'
import { type Bench, type Run, withKafka, withRabbitmq } from './bench.js'
import { drain } from './drain.js'
import { type ContenderName, contenders, withCopy, withDedupe } from './job.js'
import { latency } from './latency.js'
import { fewPartitions, help, type Options, parseOptions, restPartitions, type Workload } from './options.js'
import { measurePoison } from './poison.js'
import { type Line, lineOf, ratiosOf, tableOf } from './report.js'
import { restLatency } from './rest-latency.js'

/** The first run of anything is slower: the broker compiles itself, files are read into memory. It is not counted. */
const warmUpMessages = 20_000

// Standard output is for figures alone.
const say = (line: string) => process.stderr.write(`bench: ${line}\n`)

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2))
  if (options === null) {
    process.stdout.write(help)
    return
  }
  const { actions } = options
  if (actions) {
    const print = (line: ActionLine) => void process.stdout.write(`${JSON.stringify(line)}\n`)
    return withKafka(say, (bench) => countActions(bench, actions.minutes, print), true)
  }
  if (options.poison)
    return withKafka(
      say,
      (bench) => measurePoison(bench, options, (line) => void process.stdout.write(`${JSON.stringify(line)}\n`)),
      true,
    )
  const lines: Line[] = []
  const { workloads } = options
  const wanted = (workload: Workload) => workloads.includes(workload)
  if (wanted('drain') || wanted('latency') || wanted('rest-latency') || wanted('many-partitions-drain'))
    await withKafka(say, async (bench) => {
      if (wanted('drain')) lines.push(...(await drains(bench, 'drain', options)))
      if (wanted('latency')) lines.push(...(await latencies(bench, 'latency', options)))
      if (wanted('rest-latency')) lines.push(...(await restLatencies(bench, options)))
      // The last one: a broker with many partitions is another broker.
      if (wanted('many-partitions-drain'))
        lines.push(...(await drains(bench, 'many-partitions-drain', options, options.partitions)))
    })
  if (wanted('rabbitmq-drain') || wanted('rabbitmq-latency'))
    await withRabbitmq(say, async (bench) => {
      if (wanted('rabbitmq-drain')) lines.push(...(await drains(bench, 'rabbitmq-drain', options)))
      if (wanted('rabbitmq-latency')) lines.push(...(await latencies(bench, 'rabbitmq-latency', options)))
    })
  const ratios = ratiosOf(lines)
  const output = options.json
    ? [...lines, { ratios }].map((line) => JSON.stringify(line)).join('\n')
    : tableOf(lines, ratios)
  process.stdout.write(`${output}\n`)
  // Fast and wrong is no result. A plain client may repeat messages, Tidemark with a transactional handler may not.
  const wrong = lines.filter(({ contender, lost, duplicates }) => lost > 0 || (contender !== 'plain' && duplicates > 0))
  for (const { contender, workload, lost, duplicates } of wrong) {
    say(`WRONG: ${contender} ${workload}: ${lost} messages lost, ${duplicates} effects twice`)
  }
  if (wrong.length > 0) process.exitCode = 1
}

async function drains(
  bench: Bench,
  workload: Workload,
  { messages, rounds, dedupe }: Options,
  partitions = fewPartitions,
): Promise<Line[]> {
  const who: ContenderName[] = [...contenders]
  if (workload === 'drain') who.push(withCopy)
  if (dedupe && workload !== 'many-partitions-drain') who.push(withDedupe)
  const name = `bench-${workload}-${randomBytes(4).toString('hex')}`
  const backlogs = [
    { name: `${name}-warm-up`, partitions, count: Math.min(messages, warmUpMessages) },
    { name, partitions, count: messages },
  ] as const
  for (const { name, count } of backlogs) {
    say(`writing ${count} messages to ${partitions} partitions of ${name}`)
    await bench.log.create(name, partitions)
    await bench.log.fill(name, partitions, count)
  }
  const [warmUp, backlog] = backlogs
  for (const contender of who) await drain(bench, contender, warmUp, warmUp.count)
  return byTurns(workload, who, rounds, (contender) => drain(bench, contender, backlog, backlog.count))
}

function latencies(bench: Bench, workload: Workload, { rounds, latencySeconds }: Options): Promise<Line[]> {
  return byTurns(workload, contenders, rounds, (contender) =>
    latency(
      bench,
      contender,
      { name: `bench-latency-${randomBytes(4).toString('hex')}`, partitions: fewPartitions },
      latencySeconds,
    ),
  )
}

/** Once and without the plain client, which knows no rest: a run is 20 rounds in itself, and takes 2 minutes. */
function restLatencies(bench: Bench, { restRounds }: Options): Promise<Line[]> {
  const topic = { name: `bench-rest-latency-${randomBytes(4).toString('hex')}`, partitions: restPartitions }
  return byTurns('rest-latency', ['tidemark'], 1, (contender) => restLatency(bench, contender, topic, restRounds))
}

/** Runs each contender `rounds` times, each round in the other order, so that whatever changes over time meets both. */
async function byTurns(
  workload: Workload,
  who: readonly ContenderName[],
  rounds: number,
  measure: (contender: ContenderName) => Promise<Run>,
): Promise<Line[]> {
  const runs = new Map<ContenderName, Run[]>(who.map((name) => [name, []]))
  for (let round = 1; round <= rounds; round++) {
    for (const contender of round % 2 === 1 ? who : who.toReversed()) {
      const run = await measure(contender)
      runs.get(contender)!.push(run)
      say(`${workload}, round ${round} of ${rounds}, ${contender}: ${JSON.stringify(run)}`)
    }
  }
  return who.map((name) => lineOf(name, workload, runs.get(name)!))
}

main().catch((error: unknown) => {
  say(messageOf(error))
  process.exitCode = 1
})
