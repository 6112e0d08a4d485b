import { monitorEventLoopDelay } from 'node:perf_hooks'

/** How often the event loop is asked for its delay, ms. A delay is measured as what comes on top. */
const resolution = 20
const second = 1_000

/**
 * Tells each second how long the event loop was held up at the longest, in seconds: a histogram of Node's own never forgets, and is
 * emptied by whoever reads it. Returns what ends it.
 */
export function watchLoop(longest: (seconds: number) => void): () => void {
  const delays = monitorEventLoopDelay({ resolution })
  delays.enable()
  const timer = setInterval(() => {
    if (delays.count > 0) longest(Math.max(0, delays.max / 1e9 - resolution / 1_000))
    delays.reset()
  }, second).unref()
  return () => {
    clearInterval(timer)
    delays.disable()
  }
}
