import { Command, Option } from 'commander'

/** What the command line of the long form asks for. */
export const options = new Command('chaos')
  .description('Drain a Kafka topic while workers are killed at random moments, then count.')
  .option('--messages <n>', 'messages in the topic', Number, 500_000)
  .option('--partitions <n>', 'partitions of the topic', Number, 4)
  .option('--workers <n>', 'workers at the same time', Number, 3)
  .option('--kills <n>', 'kill -9 so often', Number, 20)
  .option('--storm-partitions <n>', 'partitions of the topic of the storm', Number, 64)
  .option('--faults <n>', 'faults of the storm, and of the failures', Number, 70)
  .option('--outage <seconds>', 'how long Temporal is away', Number, 300)
  .option('--service-away <seconds>', 'how long the service that handlers of the failures need is away', Number, 180)
  .option('--rounds <n>', 'fail-overs to a lagging standby', Number, 5)
  .option('--failover-messages <n>', 'messages of each of these rounds', Number, 200_000)
  .option('--heartbeat <duration>', 'heartbeat timeout of the consumer', '10s')
  .option('--chunk <n>', 'messages in one transaction', Number, 200)
  .option('--chunk-ms <ms>', 'time a chunk takes, so that kills find work under way', Number, 300)
  .addOption(
    new Option('--only <scenario>', 'one of them').choices([
      'storm',
      'outage',
      'failover',
      'kills',
      'zombie',
      'reset',
      'strategies',
      'clocks',
      'failures',
    ]),
  )
  .option('--seed <n>', 'repeat the kills of an earlier run', Number, Math.floor(Math.random() * 2 ** 31))
  .addHelpText('after', '\nExamples:\n  $ npm run chaos\n  $ npm run chaos -- --kills 5 --messages 100000 --seed 7')
  .parse()
  .opts<{
    messages: number
    partitions: number
    workers: number
    kills: number
    stormPartitions: number
    faults: number
    outage: number
    serviceAway: number
    rounds: number
    failoverMessages: number
    heartbeat: string
    chunk: number
    chunkMs: number
    seed: number
    only?: string
  }>()

export type Options = typeof options
