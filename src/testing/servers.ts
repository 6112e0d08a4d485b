import { TestServer } from './server.js'

/** How long a server that nobody uses waits for the next kit, ms. */
const lingerMs = 500

interface Idle {
  readonly server: TestServer
  readonly timer: NodeJS.Timeout
}

/** Servers that nobody uses, by the executable that they run. A server takes a second to start, so the next kit of the process gets it. */
const idle = new Map<string, Idle[]>()

/** A server for one kit: an idle one, or a new one where there is none. */
export async function borrowServer(executable: string | undefined): Promise<TestServer> {
  const waiting = idle.get(executable ?? '')?.pop()
  if (!waiting) return TestServer.start(executable)
  clearTimeout(waiting.timer)
  return waiting.server
}

/** Takes a server back when its kit has ended all workflows. It is closed unless another kit comes soon. */
export async function returnServer(server: TestServer, executable: string | undefined): Promise<void> {
  const usable = await server.isUsable()
  const there = idle.get(executable ?? '') ?? []
  idle.set(executable ?? '', there)
  // Not unref'd: the server's connections keep the process alive, and only closing them lets it end. One that is of no use waits as
  // well: questions of the worker that has ended may still be under way.
  const timer = setTimeout(() => {
    const index = there.indexOf(waiting)
    if (index >= 0) there.splice(index, 1)
    void server.close().catch(() => {})
  }, lingerMs)
  const waiting = { server, timer }
  if (usable) there.push(waiting)
}
