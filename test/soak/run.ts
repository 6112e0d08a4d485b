import { Command, Option } from 'commander'
import pg from 'pg'
import { nodeBinary } from '../../scripts/node-binary.mjs'
import { startStack } from '../../src/local/stack.js'
import { unique } from '../support/unique.js'
import { type Leak, leaks } from './orders.js'
import { soak } from './soak.js'
import { tableOf } from './table.js'

/*
 * A worker under load for an hour, with all that people do to its groups: what it holds must not grow.
 */
const options = new Command('soak')
  .description(
    'Run a worker under load for a long time, and judge whether memory, listeners, timers or connections grow.',
  )
  .option('--minutes <n>', 'how long', Number, 60)
  .option('--rate <n>', 'messages a second, in all', Number, 200)
  .option('--node <major...>', 'versions of Node that run the worker, one after the other; default: the running one')
  .option('--at-once', 'run them side by side, on the same brokers and databases')
  .addOption(new Option('--leak <kind>', 'leak something on purpose, to see it found').choices([...leaks]))
  .option('--json', 'print the reports as JSON')
  .addHelpText(
    'after',
    '\nExamples:\n  $ npm run soak\n  $ npm run soak -- --minutes 10 --node 20 22 24\n  $ npm run soak -- --node 20 22 24 --at-once',
  )
  .parse()
  .opts<{ minutes: number; rate: number; node?: string[]; atOnce?: true; leak?: Leak; json?: boolean }>()

const say = (text: string) => process.stderr.write(`${text}\n`)
// Before anything is started: they may be out of reach.
const nodes = options.node?.map((major) => nodeBinary(major)) ?? [
  { version: process.versions.node, path: process.execPath },
]
const stack = await startStack(
  // In memory, the dev server has ended in an hour's load with every call "interrupted", for good.
  { temporal: { persist: true }, postgres: true, kafka: true, rabbitmq: true },
  { onProgress: (text) => say(String(text)) },
)
let isFlat = true
try {
  const runs = nodes.map((node) => () => run(node))
  if (options.atOnce) await Promise.all(runs.map((one) => one()))
  else for (const one of runs) await one()
} finally {
  await stack.stop()
}
process.exit(isFlat ? 0 : 1)

async function run({ version, path }: (typeof nodes)[number]): Promise<void> {
  const name = unique('soak')
  const { address, namespace } = stack.temporal
  const report = await soak(
    {
      databaseUrl: await newDatabase(name.replace('-', '_')),
      brokers: stack.kafka.brokers,
      rabbitmqUrl: stack.rabbitmq.url,
      temporal: { address, namespace },
      name,
    },
    {
      minutes: options.minutes,
      rate: options.rate,
      pauseMs: 2_000,
      sampleMs: Math.min(5_000, options.minutes * 1_000),
      node: path,
      leak: options.leak ?? null,
      say: (text) => say(options.atOnce ? `Node ${version}: ${text}` : text),
    },
  )
  if (report.faults.length > 0) isFlat = false
  console.log(options.json ? JSON.stringify({ node: version, ...report }) : `Node ${version}\n${tableOf(report)}`)
}

async function newDatabase(name: string): Promise<string> {
  const admin = new pg.Client({ connectionString: stack.postgres.connectionString })
  await admin.connect()
  await admin.query(`create database ${name}`)
  await admin.end()
  const url = new URL(stack.postgres.connectionString)
  url.pathname = `/${name}`
  return url.href
}
