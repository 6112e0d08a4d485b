import { execFile, spawn } from 'node:child_process'

/**
 * Ends a server that the Temporal SDK has started when this process is gone, however it ends: the SDK leaves it running, and test
 * runners end their processes without waiting for anything. Does nothing on Windows, where only an orderly end stops it.
 *
 * @param port that the server's command line names
 * @returns ends the watch, once the server has been stopped
 */
export function endsWithThisProcess(port: string): () => void {
  let end = () => {}
  if (process.platform === 'win32') return () => end()
  let ended = false
  execFile('ps', ['-A', '-o', 'pid=,ppid=,args='], { maxBuffer: 64 * 1024 ** 2 }, (error, out) => {
    const pid = error ? undefined : childWith(port, out)
    if (pid === undefined || ended) return
    // The pipe closes with this process. Detached, so that a Ctrl-C for this process group leaves it alive to do its work.
    const watch = spawn('sh', ['-c', 'cat > /dev/null; kill "$0" 2> /dev/null', pid], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    })
    watch.on('error', () => {})
    watch.unref()
    const { stdin } = watch
    stdin.on('error', () => {})
    ;(stdin as unknown as { unref?(): void }).unref?.()
    end = () => void watch.kill()
  }).unref()
  return () => {
    ended = true
    end()
  }
}

function childWith(port: string, processes: string): string | undefined {
  for (const line of processes.split('\n')) {
    const [pid, parent, ...args] = line.trim().split(/\s+/)
    if (Number(parent) === process.pid && args.includes(port)) return pid
  }
  return undefined
}
