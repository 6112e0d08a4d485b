import type { Cluster } from '../runtime.js'

/** Who waits for an answer of Temporal's, by how it is reached: all batches of a worker share that. */
const waiting = new WeakMap<Cluster, Set<object>>()

/** Notes that `who` gets no answer. True for the first one: the worker's log says it once, not for each batch. */
export function silenceBegan(cluster: Cluster, who: object): boolean {
  const all = waiting.get(cluster) ?? new Set()
  const before = all.size
  waiting.set(cluster, all.add(who))
  return before === 0
}

/** Notes that `who` has an answer, or does not ask any more. True for the last one that waited. */
export function silenceEnded(cluster: Cluster, who: object): boolean {
  const all = waiting.get(cluster)
  return (all?.delete(who) ?? false) && all?.size === 0
}
