import { type LocalKafka, startKafka } from '../../src/local/kafka.js'
import { quickKafkaProgram } from '../../src/local/kafka-program.js'

/** A broker of a cluster, by its number. */
export interface ClusterBroker {
  readonly node: number
  readonly kafka: LocalKafka
}

/**
 * A cluster for tests of replicas: node 1 is the controller, and stays; nodes 2 and 3 are brokers that tests stop and start. Each takes
 * little memory.
 */
export class KafkaCluster {
  readonly #down = new Set<number>()

  private constructor(private readonly all: readonly ClusterBroker[]) {}

  static async start(): Promise<KafkaCluster> {
    const program = await quickKafkaProgram()
    // A broker that was killed is missed soon, and one that starts again is welcome soon.
    const settings = { 'broker.session.timeout.ms': 2_000, 'broker.heartbeat.interval.ms': 200 }
    const memory = '256m'
    const first = await startKafka(program, { node: 1, settings, memory })
    const started = await Promise.allSettled(
      [2, 3].map(async (node) => ({
        node,
        kafka: await startKafka(program, { node, joins: first.cluster, settings, memory }),
      })),
    )
    const others = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    const cluster = new KafkaCluster([{ node: 1, kafka: first }, ...others])
    for (const one of started)
      if (one.status === 'rejected') {
        await cluster.close()
        throw one.reason
      }
    return cluster
  }

  get brokers(): string[] {
    return this.all.flatMap(({ kafka }) => kafka.brokers)
  }

  /** Ends a broker in order: it hands its partitions over. */
  stop(node: number): Promise<void> {
    this.#down.add(node)
    return this.#server(node).stop()
  }

  /** kill -9: the others miss it after a while. */
  kill(node: number): Promise<void> {
    this.#down.add(node)
    return this.#server(node).kill()
  }

  async start(node: number): Promise<void> {
    await this.#server(node).restart()
    this.#down.delete(node)
  }

  /** Starts all that are down. */
  async heal(): Promise<void> {
    await Promise.all([...this.#down].map((node) => this.start(node)))
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map(({ kafka }) => kafka.server.close()))
  }

  #server(number: number): LocalKafka['server'] {
    return this.all.find(({ node }) => node === number)!.kafka.server
  }
}
