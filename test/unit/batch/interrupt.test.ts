import { expect, it } from 'vitest'
import { Interrupt, interrupted } from '../../../activities/batch/interrupt.js'
import { collectGarbage } from '../../support/garbage.js'

const never = new Promise<never>(() => {})

it('ends a wait', async () => {
  const interrupt = new Interrupt()
  const wait = interrupt.or(never)
  interrupt.fire()
  expect(await wait).toBe(interrupted)
})

it('gives what the work gives where nothing interrupts it', async () => {
  expect(await new Interrupt().or(Promise.resolve(7))).toBe(7)
  await expect(new Interrupt().or(Promise.reject(new Error('broken')))).rejects.toThrow('broken')
})

it('leaves alone a wait that begins later', async () => {
  const interrupt = new Interrupt()
  interrupt.fire()
  expect(await interrupt.or(Promise.resolve('done'))).toBe('done')
  // Not the wait before this one, either.
  interrupt.fire()
  expect(await interrupt.or(Promise.resolve('done'))).toBe('done')
})

it('takes care of work that fails after it was interrupted', async () => {
  const interrupt = new Interrupt()
  let fail = (_: Error) => {}
  const wait = interrupt.or(new Promise((_, reject) => (fail = reject)))
  interrupt.fire()
  fail(new Error('too late for anybody to care'))
  // An unhandled rejection would fail the test run.
  expect(await wait).toBe(interrupted)
})

it('keeps nothing of a wait that is over', async () => {
  const interrupt = new Interrupt()
  const given = await (async () => new WeakRef(await interrupt.or(Promise.resolve({ large: true }))))()
  // A weak reference holds until the end of the turn that made it.
  await new Promise((resolve) => setImmediate(resolve))
  collectGarbage()
  expect(given.deref()).toBeUndefined()
  interrupt.fire()
})
