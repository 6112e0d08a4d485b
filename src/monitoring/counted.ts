import type { Cluster } from '../../activities/index.js'
import type { ConsumerMeter } from './consumer-meter.js'

type Activities = { readonly [name: string]: (...args: never[]) => Promise<unknown> }

/** Activities that are counted, each try. */
export function countedActivities<A extends object>(activities: A, meter: ConsumerMeter): A {
  const counted = Object.entries(activities as unknown as Activities).map(([name, work]) => [
    name,
    (...args: never[]) => {
      meter.acted('activity')
      return work(...args)
    },
  ])
  return Object.fromEntries(counted) as A
}

/** A cluster whose signals are counted. */
export function countedSignals(cluster: Cluster, meter: ConsumerMeter): Cluster {
  return {
    look: (workflowId) => cluster.look(workflowId),
    endStranded: (workflowId, queue) => cluster.endStranded(workflowId, queue),
    signal: (workflowId, signal, ...args) => {
      meter.acted('signal')
      return cluster.signal(workflowId, signal, ...args)
    },
  }
}
