/*
 * `npm run demo`: a stream of events, a worker that is killed in the middle of it, and a proof that every event took effect
 * once. Everything it needs is started here and ends with it.
 */
import { Command, InvalidArgumentError, Option } from 'commander'
import pg from 'pg'
import { type Stack, startStack } from '../../src/local/stack.js'
import { messageOf } from '../../src/model/errors.js'
import { type EventLog, kafkaLog, postgresLog, rabbitmqLog } from './event-log.js'
import { Ledger, type Proof, proof } from './ledger.js'
import { type Outcome, run } from './run.js'
import { number, Screen } from './screen.js'
import { WorkerProcess } from './worker-process.js'

const sources = ['postgres', 'kafka', 'rabbitmq'] as const
type Source = (typeof sources)[number]

interface Options {
  readonly source: Source
  readonly events: number
  readonly exit: boolean
  readonly json: boolean
}

const configs = {
  postgres: 'examples/demo/tidemark.config.ts',
  kafka: 'examples/demo/tidemark.kafka.config.ts',
  rabbitmq: 'examples/demo/tidemark.rabbitmq.config.ts',
}
const brokers = { postgres: '', kafka: ', Kafka', rabbitmq: ', RabbitMQ' }

const program = new Command('npm run demo --')
  .description(
    'Appends events to a stream while a worker books them into a table, kills the worker with SIGKILL in the middle, ' +
      'starts another one, and proves by a query that every event took effect once. ' +
      'Starts a Postgres, a Temporal dev server and, where asked, a Kafka or a RabbitMQ of its own; they listen on 127.0.0.1 only.',
  )
  .addOption(new Option('--source <kind>', 'the stream').choices(sources).default('postgres'))
  .addOption(new Option('--events <n>', 'events to append').argParser(wholeNumber).default(200_000))
  .option('--exit', 'end after the proof instead of staying up to look around', false)
  .option('--json', 'the result as one line of JSON on standard output; all else goes to standard error', false)
  .addHelpText(
    'after',
    `
Examples:
  $ npm run demo
  $ npm run demo -- --source kafka
  $ npm run demo -- --source rabbitmq
  $ npm run --silent demo -- --exit --json | jq .duplicates

Exit codes: 0 nothing lost and nothing twice, 1 anything else, 2 wrong use, 130 ended by Ctrl-C.`,
  )
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))

function wholeNumber(text: string): number {
  const least = 1_000
  if (/^\d+$/.test(text) && Number(text) >= least) return Number(text)
  throw new InvalidArgumentError(`It must be a whole number from ${least} up.`)
}

const screen = new Screen()

/** What has to be ended, the last one first. */
const endings: (() => Promise<unknown>)[] = []

async function endAll(): Promise<void> {
  for (const end of endings.splice(0).reverse()) await end().catch(() => {})
}

async function main(options: Options): Promise<number> {
  screen.say(`starting Temporal, Postgres${brokers[options.source]}`)
  // Its own ones always: a DATABASE_URL that lies in the environment is not there to be played with.
  const stack = await startStack(
    {
      temporal: { own: true },
      postgres: { own: true },
      kafka: options.source === 'kafka' && { own: true },
      rabbitmq: options.source === 'rabbitmq' && { own: true },
    },
    { onProgress: (text) => screen.say(text) },
  )
  endings.push(() => stack.stop())
  screen.say(`Temporal UI: ${stack.temporal.uiUrl}`)
  const pool = new pg.Pool({ connectionString: stack.postgres.connectionString, max: 3 })
  // Servers that end under it when somebody presses Ctrl-C are nothing to fall over.
  pool.on('error', () => {})
  endings.push(() => pool.end())

  const ledger = await Ledger.create(pool)
  const log = await openLog(options.source, stack, pool)
  endings.push(() => log.close())
  const env = environment(stack, options)
  const worker = await WorkerProcess.create(configs[options.source], { ...process.env, TEMPORAL_API_KEY: '', ...env })
  endings.push(() => worker.close())

  const outcome = await run({ events: options.events, log, ledger, worker, screen })
  const result = await ledger.prove(options.events)
  report(options, outcome, result)
  if (!options.exit) await stayUp(stack, env, worker)
  return result.lost === 0 && result.duplicates === 0 ? 0 : 1
}

function openLog(source: Source, stack: Stack, pool: pg.Pool): Promise<EventLog> {
  if (source === 'kafka') return kafkaLog(stack.kafka.brokers)
  return source === 'rabbitmq' ? rabbitmqLog(stack.rabbitmq.url) : postgresLog(pool)
}

/** Where the worker finds everything. */
function environment(stack: Stack, { source }: Options): Record<string, string> {
  return {
    DATABASE_URL: stack.postgres.connectionString,
    TEMPORAL_ADDRESS: stack.temporal.address,
    TEMPORAL_NAMESPACE: stack.temporal.namespace,
    ...(source === 'kafka' && { KAFKA_BROKERS: stack.kafka.brokers.join(',') }),
    ...(source === 'rabbitmq' && { RABBITMQ_URL: stack.rabbitmq.url }),
  }
}

function report({ source, events, json }: Options, { kills, seconds }: Outcome, result: Proof): void {
  const rate = Math.round(events / seconds)
  screen.say(`
${proof.replace('$1::int', String(events))}

 rows       ${number(result.rows).padStart(9)}   of ${number(events)} events
 lost       ${number(result.lost).padStart(9)}
 duplicates ${number(result.duplicates).padStart(9)}

${seconds.toFixed(1)} s with ${kills} kill -9, ${number(rate)} events/s`)
  const summary = { source, events, ...result, kills, seconds: Number(seconds.toFixed(2)), msgsPerSecond: rate }
  if (json) process.stdout.write(`${JSON.stringify(summary)}\n`)
}

/** Says where to look, and stays until a signal ends the process. */
async function stayUp(stack: Stack, env: Record<string, string>, worker: WorkerProcess): Promise<void> {
  const assignments = Object.entries(env).map(([name, value]) => `${name}='${value}'`)
  screen.say(`
Everything stays up until Ctrl-C. Where to look:
  the workflows    ${stack.temporal.uiUrl}
  the table        psql '${stack.postgres.connectionString}' -c 'select * from deposits limit 5'
  the worker's log ${worker.log}
  the partitions   env ${assignments.join(' ')} \\
                     npx tidemark status --config ${worker.config}`)
  // A pending promise alone does not keep Node alive.
  setInterval(() => {}, 3_600_000)
  await new Promise(() => {})
}

let interrupted = false
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    // Whoever asks twice has waited enough; servers end by themselves once this process is gone.
    if (interrupted) process.exit(130)
    interrupted = true
    screen.end()
    screen.say('ending everything')
    void endAll().then(() => process.exit(130))
  })

const options = program.parse().opts<Options>()
try {
  const code = await main(options)
  await endAll()
  process.exit(code)
} catch (error) {
  // Parts that end under it are no news then.
  if (interrupted) await new Promise(() => {})
  process.stderr.write(`demo: ${messageOf(error)}\n`)
  await endAll()
  process.exit(1)
}
