import { spawn } from 'node:child_process'
import type { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

let pipe: Writable | undefined

/**
 * Has a database dropped when this process is gone, however it ends: test runners end their processes without waiting for anything.
 *
 * @param name of the database, which may not be there yet
 * @returns call it when the database has been dropped
 */
export function dropAfterProcess(server: string, name: string): () => void {
  pipe ??= watch()
  const say = (what: object) => void pipe?.write(`${JSON.stringify(what)}\n`)
  say({ server, drop: name })
  return () => say({ forget: name })
}

function watch(): Writable {
  // Loaders and inspectors of this process are no business of the other one's.
  const { NODE_OPTIONS: _options, NODE_V8_COVERAGE: _coverage, ...env } = process.env
  const file = fileURLToPath(new URL('./drop-process.mjs', import.meta.url))
  // Detached, so that a Ctrl-C for this process group leaves it alive to do its work.
  const child = spawn(process.execPath, [file], { stdio: ['pipe', 'ignore', 'ignore'], detached: true, env })
  child.on('error', () => {})
  child.unref()
  const { stdin } = child
  stdin.on('error', () => {})
  ;(stdin as unknown as { unref?(): void }).unref?.()
  return stdin
}
