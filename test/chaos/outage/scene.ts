import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '@temporalio/client'
import { groupStatus } from '../../../src/client/status.js'
import { sliceWorkflowId } from '../../../src/model/partition.js'
import { unique } from '../../support/unique.js'
import { waitFor } from '../../support/wait-for.js'
import { Wire } from '../../support/wire.js'
import type { Parts } from '../ground.js'
import { type ChaosWorker, Workers } from '../workers.js'
import { batchMs, type Consumer, consumers, LiveGround, slices, type Tally } from './ground.js'

/** Temporal's number for an activity that is to end. */
const cancelRequested = 3

/** A worker that reaches Temporal by a wire of its own. */
export interface Wired {
  readonly worker: ChaosWorker
  readonly wire: Wire
}

/** Two workers under load. */
export class Scene {
  readonly #endings: (() => Promise<unknown>)[] = []
  readonly wired: Wired[] = []

  private constructor(
    readonly ground: LiveGround,
    readonly workers: Workers,
    private readonly client: Client,
  ) {}

  /**
   * Resolves once the workers have worked every partition.
   *
   * @param heartbeatTimeout of the consumers
   */
  static async begin(
    { databaseUrl, brokers, temporal }: Parts,
    client: Client,
    heartbeatTimeout = '5s',
  ): Promise<Scene> {
    const { address, namespace } = temporal
    const ground = await LiveGround.on(databaseUrl, brokers, unique('outage'))
    const workers = new Workers(
      {
        DATABASE_URL: databaseUrl,
        KAFKA_BROKERS: brokers.join(','),
        TEMPORAL_NAMESPACE: namespace,
        CHAOS_TOPIC: ground.topic,
        CHAOS_HEARTBEAT: heartbeatTimeout,
      },
      'test/chaos/outage/tidemark.config.ts',
    )
    const scene = new Scene(ground, workers, client)
    scene.#endings.push(
      () => ground.close(),
      () => workers.end(),
    )
    try {
      for (let i = 0; i < 2; i++) {
        const wire = await Wire.to(address)
        scene.#endings.push(() => wire.close())
        scene.wired.push({ wire, worker: workers.start({ TEMPORAL_ADDRESS: wire.address }) })
      }
      ground.produce()
      const since = new Date()
      await waitFor(() => ground.moved(since), { timeout: 60_000, what: 'effects in every partition' })
      return scene
    } catch (error) {
      await scene.end()
      throw error
    }
  }

  async end(): Promise<void> {
    for (const end of this.#endings.splice(0).reverse()) await end()
  }

  /**
   * Resolves in a moment when every slice is in the middle of a batch. Where Temporal goes away between two batches, there is nothing
   * that could go on.
   */
  async betweenNoBatches(): Promise<void> {
    const ages = async () =>
      (await this.#batches(consumers)).map((batch) => Date.now() - 1_000 * Number(batch?.lastStartedTime?.seconds ?? 0))
    await waitFor(async () => (await ages()).every((ms) => ms > 2_000 && ms < batchMs - 2_000), {
      timeout: 60_000,
      what: 'all batches to be open',
    })
  }

  /** Resolves as soon as Temporal is asked to end a batch of a group. Its worker hears of it within 2 s. */
  async endAsked(group: Consumer): Promise<void> {
    await waitFor(async () => (await this.#batches([group])).some((batch) => batch?.state === cancelRequested), {
      timeout: 60_000,
      what: `a batch of ${group} to be asked to end`,
    })
  }

  /** The batch of each slice, as Temporal has it. */
  #batches(groups: readonly Consumer[]) {
    const stream = this.ground.topic
    const each = groups.flatMap((group) =>
      Array.from({ length: slices }, async (_, slice) => {
        const { raw } = await this.client.workflow.getHandle(sliceWorkflowId({ group, stream }, slice)).describe()
        return raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'process')
      }),
    )
    return Promise.all(each)
  }

  /** Everything is committed; counts. */
  settled(timeout: number): Promise<Tally[]> {
    return this.ground.settled(timeout, async () => {
      const views = await Promise.all(
        consumers.map((group) => groupStatus(this.client, { group, stream: this.ground.topic })),
      )
      return JSON.stringify(views.flatMap(({ partitions }) => partitions))
    })
  }

  /** The workers, with the one first that works the most partitions. */
  async busiestFirst(): Promise<[Wired, Wired]> {
    await sleep(1_000)
    const held = await this.ground.heldSince(new Date(Date.now() - 1_000))
    const [first, second] = [...this.wired].sort(
      (a, b) => (held.get(b.worker.name) ?? 0) - (held.get(a.worker.name) ?? 0),
    )
    return [first!, second!]
  }

  /** Waits until people are told that these partitions of each group are in this state. */
  async told(state: string, which: Readonly<Record<string, readonly number[]>>): Promise<void> {
    for (const [group, numbers] of Object.entries(which))
      await waitFor(
        async () => {
          const { partitions } = await groupStatus(this.client, { group, stream: this.ground.topic })
          const theirs = partitions.filter(({ partition }) => numbers.includes(partition))
          if (theirs.every((view) => view.state === state)) return true
          throw new Error(theirs.map((view) => `${view.partition} ${view.state} ${view.reason}`).join(', '))
        },
        { timeout: 40_000, what: `${group} to be ${state}` },
      )
  }
}
