/*
 * The guard: a small process between us and one server. It holds a pipe to its parent; when the pipe closes, for whatever
 * reason (a clean stop, Ctrl-C, kill -9), it ends the server and removes the server's temporary folder.
 *
 * Plain JavaScript that imports only node:, because it must run from source as well as from dist, without a loader.
 *
 * argv[2]  {"folder": string | null, "signal": "SIGTERM", "within": ms}   what to do when the parent is gone
 * stdin    {"id", "do": "start", "command", "args", "cwd", "env", "uid", "gid", "log"}
 *          {"id", "do": "stop"}    ask the server to end; kill it when it has not ended `within` ms
 *          {"id", "do": "signal", "signal": "SIGKILL" | "SIGSTOP" | "SIGCONT"}   to the server and all its children
 * stdout   {"id", "error"?: string}   the answer
 *          {"exit": string}           the server ended, by itself or not
 */
import { execFile, spawn } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createInterface } from 'node:readline'

const { folder, signal, within } = JSON.parse(process.argv[2])

/** The running server: {pid, ended: Promise}, or null. */
let server = null
let ending = false

function say(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}

function start({ command, args, cwd, env, uid, gid, log }) {
  if (server) throw new Error('it is already running')
  const output = openSync(log, 'a')
  // A session of its own: Ctrl-C at the terminal must not reach it before we can end it in order.
  const child = spawn(command, args, { cwd, env, uid, gid, detached: true, stdio: ['ignore', output, output] })
  closeSync(output)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('spawn', () => {
      const ended = new Promise((done) => {
        child.once('exit', (code, killer) => {
          server = null
          // What it left behind in its group must not outlive it.
          send(-child.pid, 'SIGKILL')
          say({ exit: killer ?? `exit code ${code}` })
          done()
        })
      })
      server = { pid: child.pid, ended }
      resolve()
    })
  })
}

async function stop() {
  if (!server) return
  const { pid, ended } = server
  send(pid, signal)
  // A stopped process gets the signal only once it runs again.
  await signalTree(pid, 'SIGCONT')
  const timer = setTimeout(() => signalTree(pid, 'SIGKILL'), within)
  await ended
  clearTimeout(timer)
}

/** Children too: Postgres puts every backend into a group of its own. */
async function signalTree(pid, name) {
  const children = await descendants(pid)
  for (const one of [pid, ...children]) send(one, name)
}

function send(pid, name) {
  try {
    process.kill(pid, name)
  } catch {
    // Gone already, which is what a signal to a dead process can only mean here.
  }
}

async function descendants(pid) {
  const parents = await processTable()
  const found = [pid]
  for (const one of found) for (const [child, parent] of parents) if (parent === one) found.push(child)
  return found.slice(1)
}

/** [pid, parent's pid] of every process. Small containers have no `ps`, so on Linux this reads /proc itself. */
async function processTable() {
  if (process.platform === 'linux') {
    return readdirSync('/proc').flatMap((name) => {
      if (!/^\d+$/.test(name)) return []
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
        // The name in parentheses may hold anything, so the fields are counted from its end.
        return [[Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])]]
      } catch {
        return []
      }
    })
  }
  const text = await new Promise((resolve) =>
    execFile('ps', ['-A', '-o', 'pid=,ppid='], (_, out) => resolve(out ?? '')),
  )
  return text
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
}

async function end() {
  if (ending) return
  ending = true
  await stop()
  if (folder) await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }).catch(() => {})
  process.exit(0)
}

async function handle(request) {
  if (ending) throw new Error('the guard is ending')
  if (request.do === 'start') await start(request)
  else if (request.do === 'stop') await stop()
  else if (server) await signalTree(server.pid, request.signal)
  else throw new Error('it is not running')
}

process.stdout.on('error', () => {})
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, end)

const lines = createInterface({ input: process.stdin })
lines.on('line', (line) => {
  const request = JSON.parse(line)
  handle(request).then(
    () => say({ id: request.id }),
    (error) => say({ id: request.id, error: error.message }),
  )
})
lines.on('close', end)
