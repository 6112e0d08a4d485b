import { createServer } from 'node:net'

/** The start failed because somebody else took a port between our look and the server's bind. */
export class PortTaken extends Error {}

/*
 * Below every system's range for outgoing connections (Linux 32768-60999, macOS and Windows 49152-65535): a client
 * that keeps dialling a server that is down would sooner or later be given that very port, connect to itself, and the
 * server could never come back on it.
 */
const lowest = 15_000
const highest = 32_000

/** `count` different ports of 127.0.0.1 on which nobody listens now. Somebody may a moment later: see `onFreePorts`. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < count) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest))
    if (!ports.has(port) && (await isFree(port))) ports.add(port)
  }
  return [...ports]
}

/** Calls `start` with the ports `at` and free ones behind them, and again with others when it throws PortTaken; five times at most. */
export async function onFreePorts<T>(
  count: number,
  start: (ports: number[]) => Promise<T>,
  at: readonly number[] = [],
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await start([...at, ...(await freePorts(count - at.length))])
    } catch (error) {
      if (!(error instanceof PortTaken) || tries === 5) throw error
    }
  }
}

export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}

/** What programs print when they can't have a port: Go, Java, Postgres. */
export function saysPortTaken(output: string): boolean {
  return /address already in use|could not bind|BindException|can't listen on|cannot listen/i.test(output)
}
