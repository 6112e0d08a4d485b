import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { pauseFor } from '../../src/model/pause.js'
import { virtualTime } from '../support/virtual-time.js'

beforeEach(virtualTime.begin)
afterEach(virtualTime.end)

describe('a pause', () => {
  it('lasts so long, and leaves no listener on its signal', async () => {
    const { signal } = new AbortController()
    const removed = vi.spyOn(signal, 'removeEventListener')
    let over = false
    const pausing = pauseFor(1_000, signal).then(() => {
      over = true
    })
    await virtualTime.pass(999)
    expect(over).toBe(false)
    await virtualTime.pass(1)
    await pausing
    expect(removed).toHaveBeenCalledWith('abort', expect.any(Function))
  })

  it('ends with its signal, without an error, and leaves no timer', async () => {
    const end = new AbortController()
    const pausing = pauseFor(1_000, end.signal)
    end.abort(new Error('the source was closed'))
    await pausing
    expect(vi.getTimerCount()).toBe(0)
  })

  it.each([2 ** 31, Number.POSITIVE_INFINITY])(
    'of %d ms, more than a timer can wait, does not end at once',
    async (ms) => {
      const end = new AbortController()
      let over = false
      const pausing = pauseFor(ms, end.signal).then(() => {
        over = true
      })
      await virtualTime.pass(24 * 24 * 3_600_000)
      expect(over).toBe(false)
      end.abort()
      await pausing
    },
  )

  it('does not begin where its signal has aborted already', async () => {
    await pauseFor(1_000, AbortSignal.abort())
    expect(vi.getTimerCount()).toBe(0)
  })
})
