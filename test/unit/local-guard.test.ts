import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Guard } from '../../src/local/guard.js'
import { waitFor } from '../support/wait-for.js'

let folder: string
let guard: Guard
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'guard-test-'))
  guard = new Guard({ folder, signal: 'SIGTERM', within: 300 })
})
afterEach(async () => {
  await guard.close()
  await rm(folder, { recursive: true, force: true })
})

/** Runs a script under the guard and returns the number it prints, once it has printed it. */
async function runs(script: string): Promise<number> {
  const log = join(folder, 'log')
  await guard.start({ command: process.execPath, args: ['-e', `${script}; setInterval(() => {}, 1e6)`], log })
  return Number(
    await waitFor(async () => /\d+/.exec(await readFile(log, 'utf8'))?.[0], { what: 'the script to speak' }),
  )
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const saysPid = 'console.log(process.pid)'

test('closing ends the server and removes its folder', async () => {
  const pid = await runs(saysPid)
  await guard.close()
  expect(isAlive(pid)).toBe(false)
  expect(existsSync(folder)).toBe(false)
})

test('a server that ignores the polite signal is killed', async () => {
  const pid = await runs(`process.on('SIGTERM', () => {}); ${saysPid}`)
  await guard.stop()
  expect(isAlive(pid)).toBe(false)
  expect(guard.exit).toBe('SIGKILL')
})

test('children of the server end with it', async () => {
  const child = await runs(`
    const child = require('child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'])
    console.log(child.pid)`)
  await guard.signal('SIGKILL')
  await waitFor(() => !isAlive(child), { what: 'the child to be gone' })
})

test('a stopped server ends, too', async () => {
  const pid = await runs(saysPid)
  await guard.signal('SIGSTOP')
  await guard.stop()
  expect(isAlive(pid)).toBe(false)
})

test('after a stop it can be started again', async () => {
  const first = await runs(saysPid)
  await guard.stop()
  await rm(join(folder, 'log'))
  const second = await runs(saysPid)
  expect(second).not.toBe(first)
  expect(guard.exit).toBeNull()
})

test('a program that does not exist is an error at once', async () => {
  const starting = guard.start({ command: join(folder, 'nothing'), args: [], log: join(folder, 'log') })
  await expect(starting).rejects.toThrow('ENOENT')
})
