import { collectGarbage } from '../support/garbage.js'
import { countListeners, countSockets, watchListeners } from './live-objects.js'
import type { Sample } from './sample.js'

watchListeners()

/** @param ports the parts by their port: whose connections to count */
export function takeSample(ports: ReadonlyMap<number, string>, handled: Readonly<Record<string, number>>): Sample {
  collectGarbage()
  const { heapUsed, external, rss } = process.memoryUsage()
  const { abort, emitter, process: ofProcess } = countListeners()
  const resources = process.getActiveResourcesInfo()
  const timers = resources.filter((type) => type === 'Timeout' || type === 'Immediate').length
  const sockets = countSockets()
  const connections = Object.fromEntries(
    [...ports].map(([port, part]) => [`connections to ${part}`, sockets.get(port) ?? 0]),
  )
  return {
    memory: { heap: heapUsed, external, rss },
    counts: {
      'abort listeners': abort,
      'event listeners': emitter,
      'process listeners': ofProcess,
      timers,
      handles: resources.length - timers,
      ...connections,
    },
    handled,
  }
}
