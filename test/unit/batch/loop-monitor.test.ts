import { describe, expect, it } from 'vitest'
import { LoopMonitor } from '../../../activities/batch/loop-monitor.js'
import { silentLog } from '../../support/silent-log.js'
import { waitFor } from '../../support/wait-for.js'

const keyOf = (partition: number) => ({ group: 'billing', stream: 'orders', partition })

/** Computes for so long, in one go. */
function spin(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

describe('an event loop that was blocked', () => {
  it('is told with the handler that did it', async () => {
    const log = silentLog()
    const monitor = new LoopMonitor(log)
    const [one, other] = [monitor.begin(keyOf(3)), monitor.begin(keyOf(4))]
    spin(1_500)
    one.ran(1_500)
    await waitFor(() => log.lines.length > 0, { what: 'a line' })
    expect(log.lines).toHaveLength(1)
    expect(log.lines[0]).toMatchObject({ level: 'warn', fields: { ...keyOf(3) } })
    expect(log.lines[0]!.message).toMatch(
      /^the event loop was blocked for 1\.\d s by the handler of orders\[3\] \(group billing\)\./,
    )
    one.end()
    other.end()
  })

  it('is told with all chunks in hand where nobody knows which of them did it', async () => {
    const log = silentLog()
    const monitor = new LoopMonitor(log)
    const chunks = [3, 4].map((partition) => monitor.begin(keyOf(partition)))
    spin(1_500)
    await waitFor(() => log.lines.length > 0, { what: 'a line' })
    expect(log.lines[0]!.message).toContain(
      'while chunks were in hand of orders[3] (group billing), orders[4] (group billing)',
    )
    for (const { end } of chunks) end()
  })

  it('is told, too, where the chunk is done before anything else runs', () => {
    const log = silentLog()
    const chunk = new LoopMonitor(log).begin(keyOf(3))
    spin(1_500)
    chunk.ran(1_500)
    chunk.end()
    expect(log.lines).toHaveLength(1)
  })

  it('is not told of where it was quick, or no chunk was in hand', async () => {
    const log = silentLog()
    const monitor = new LoopMonitor(log)
    const chunk = monitor.begin(keyOf(3))
    spin(300)
    await new Promise((resolve) => setTimeout(resolve, 600))
    chunk.end()
    spin(1_500)
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(log.lines).toEqual([])
  })
})
