import type { Gauge } from 'prom-client'
import type { Condition } from '../model/condition.js'
import type { ConsumerMeter } from './consumer-meter.js'
import type { Definitions } from './definitions.js'
import type { PartitionView } from './held-partitions.js'

/** Of a stream with more partitions than this, the partitions have no series of their own. */
export const mostPartitions = 1_000

/** Of a partition that has finished a bounded run, nothing is shown. */
const conditions: readonly Condition[] = ['healthy', 'retrying', 'blocked', 'fenced']

type Values = (number | null)[]
const sum = (values: number[]) => values.reduce((a, b) => a + b, 0)
const least = (values: number[]) => values.reduce((a, b) => Math.min(a, b))
const greatest = (values: number[]) => values.reduce((a, b) => Math.max(a, b))

/** Fills the gauges of partitions when they are read. A partition that is not held any more leaves nothing behind. */
export function fillWhenRead(metrics: Definitions, consumers: readonly ConsumerMeter[]): void {
  /** @param whole makes one value of all partitions' of a large stream; null: it has none then */
  function fill(
    gauge: Gauge<'group' | 'stream' | 'partition'>,
    value: (view: PartitionView, meter: ConsumerMeter) => number | null,
    whole: ((values: number[]) => number) | null,
  ): void {
    onRead(gauge, () => {
      for (const meter of consumers) {
        const views = meter.held.views()
        const values = views.map((view) => value(view, meter))
        if (meter.partitions > mostPartitions) setWhole(gauge, meter, values, whole)
        else
          values.forEach((one, index) => {
            if (one !== null) gauge.set({ ...meter.name, partition: views[index]!.partition }, one)
          })
      }
    })
  }

  fill(metrics.position, ({ position }) => numberOf(position), null)
  fill(metrics.head, ({ head }) => numberOf(head), null)
  fill(metrics.lag, lagOf, sum)
  fill(metrics.lagSeconds, ({ lagMs }) => (lagMs === null ? null : lagMs / 1_000), greatest)
  fill(metrics.headroom, headroomOf, least)
  onRead(metrics.condition, () => {
    for (const { name, held, partitions } of consumers) {
      if (partitions > mostPartitions) continue
      for (const { partition, condition: is } of held.views())
        for (const condition of conditions)
          metrics.condition.set({ ...name, partition, condition }, condition === is ? 1 : 0)
    }
  })
  onRead(metrics.partitions, () => {
    for (const { name, held } of consumers) {
      const views = held.views()
      for (const condition of conditions) {
        const count = views.filter((view) => view.condition === condition).length
        metrics.partitions.set({ ...name, condition }, count)
      }
    }
  })
}

/** Values of earlier reads are forgotten. */
function onRead<L extends string>(gauge: Gauge<L>, fill: () => void): void {
  Object.assign(gauge, {
    collect: () => {
      gauge.reset()
      fill()
    },
  })
}

function setWhole(
  gauge: Gauge<'group' | 'stream' | 'partition'>,
  { name }: ConsumerMeter,
  values: Values,
  whole: ((values: number[]) => number) | null,
): void {
  const known = values.filter((value) => value !== null)
  if (whole && known.length > 0) gauge.set(name, whole(known))
}

function numberOf(value: bigint | null): number | null {
  return value === null ? null : Number(value)
}

function lagOf({ position, head }: PartitionView): number | null {
  if (position === null || head === null) return null
  return head > position ? Number(head - position) : 0
}

/** Where everything is handled, what is written now is what comes next. */
function headroomOf({ partition, lagMs }: PartitionView, { firstTimes }: ConsumerMeter): number | null {
  const first = firstTimes.get(partition)
  return first === undefined || lagMs === null ? null : (Date.now() - lagMs - first) / 1_000
}
