import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { withLock } from '../../src/local/lock.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lock-test-'))
})
afterEach(() => rm(folder, { recursive: true }))

test('holders come one after the other, and the file is gone at the end', async () => {
  let inside = 0
  let most = 0
  const hold = () =>
    withLock(join(folder, 'lock'), async () => {
      most = Math.max(most, ++inside)
      await turn()
      inside--
    })
  await Promise.all([hold(), hold(), hold()])
  expect(most).toBe(1)
  expect(await readdir(folder)).toEqual([])
})

test('the lock is given back when the work throws', async () => {
  const file = join(folder, 'lock')
  await expect(withLock(file, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken')
  expect(await withLock(file, async () => 'mine')).toBe('mine')
})

test('a waiter says so, once', async () => {
  const file = join(folder, 'lock')
  let said = 0
  let second: Promise<void> | undefined
  await withLock(file, async () => {
    await new Promise<void>((resolve) => {
      second = withLock(file, async () => {}, {
        onWait: () => {
          said++
          resolve()
        },
      })
    })
  })
  await second
  expect(said).toBe(1)
})

test('a lock whose holder was killed is taken over', async () => {
  const file = join(folder, 'lock')
  await writeFile(file, 'somebody who is gone')
  const longAgo = new Date(Date.now() - 60_000)
  await utimes(file, longAgo, longAgo)
  expect(await withLock(file, async () => 'mine')).toBe('mine')
  expect(await readdir(folder)).toEqual([])
})
