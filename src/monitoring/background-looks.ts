import type { Cluster } from '../../activities/index.js'
import { sliceOf, sliceWorkflowId } from '../model/partition.js'
import type { GroupRecords, SourceClient } from '../ports/index.js'
import type { ConsumerMeter } from './consumer-meter.js'

/** How often the log is asked for its ends, and the slices for their stopped partitions, ms. */
const [logEvery, stoppedEvery] = [30_000, 10_000]
/** A head that a reader has seen this recently, ms, is not asked for. */
const freshFor = 15_000
/** A slice knows this long after it, ms, that a partition was blocked; clocks may differ by as much. */
const sliceKnowsIn = 15_000

export interface Asked {
  readonly source: Pick<SourceClient, 'bounds' | 'firstTimes'>
  readonly records: Pick<GroupRecords, 'read'>
  readonly cluster: Pick<Cluster, 'look'>
}

/**
 * What neither readers nor polls know, looked up in the background, and only while somebody reads the metrics: a read begins a look
 * where the last one is old, and does not wait for it. However often metrics are read, it stays at a few requests every 30 s.
 *
 * - the heads of partitions that nothing is read from: blocked ones, and those whose handler is busy for long
 * - when the oldest message of each partition was written
 * - whether blocked and fenced partitions still are: another worker may have them by now
 */
export class BackgroundLooks {
  readonly #looks: readonly Look[]

  constructor(
    private readonly meter: ConsumerMeter,
    private readonly asked: Asked,
  ) {
    this.#looks = [new Look(logEvery, () => this.#lookAtLog()), new Look(stoppedEvery, () => this.#lookAtStopped())]
  }

  /** Somebody reads the metrics. */
  begin(): void {
    for (const look of this.#looks) look.begin()
  }

  async #lookAtLog(): Promise<boolean> {
    const { meter, asked } = this
    const partitions = meter.held.views().map(({ partition }) => partition)
    if (partitions.length === 0) return false
    const old = meter.held.headsOlderThan(freshFor)
    const heads = old.length === 0 ? [] : await asked.source.bounds(old)
    for (const [partition, { head }] of heads) meter.held.sawHead(partition, head)
    meter.firstTimes = (await asked.source.firstTimes?.(partitions)) ?? new Map()
    return true
  }

  async #lookAtStopped(): Promise<boolean> {
    const { name, held } = this.meter
    const stopped = held.stoppedFor(sliceKnowsIn)
    if (stopped.size === 0) return false
    const record = await this.asked.records.read(name)
    if (!record) return true
    const slices = [...new Set([...stopped.keys()].map((partition) => sliceOf(partition, record.slices)))]
    const looks = await Promise.all(
      slices.map((slice) => this.asked.cluster.look(sliceWorkflowId(name, slice)).then((look) => look?.memo.stopped)),
    )
    const told = new Map(looks.flatMap((one) => one ?? []).map((one) => [one.partition, Date.parse(one.since)]))
    for (const [partition, at] of stopped) {
      const since = told.get(partition)
      // It works again, or has stopped again since, elsewhere.
      if (since === undefined || since > at + sliceKnowsIn) held.drop(partition)
    }
    return true
  }
}

/** Something that is looked up now and then. A look that fails is made again when the next one is due. */
class Look {
  #at = Number.NEGATIVE_INFINITY
  #isUnderWay = false

  constructor(
    private readonly every: number,
    /** Resolves with false where there was nothing to look for: the next read looks again. */
    private readonly look: () => Promise<boolean>,
  ) {}

  begin(): void {
    if (this.#isUnderWay || performance.now() - this.#at < this.every) return
    this.#at = performance.now()
    this.#isUnderWay = true
    this.look()
      .then((wasNeeded) => {
        if (!wasNeeded) this.#at = Number.NEGATIVE_INFINITY
      })
      .catch(() => {})
      .finally(() => {
        this.#isUnderWay = false
      })
  }
}
