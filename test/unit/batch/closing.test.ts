import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Closable, Closing } from '../../../activities/batch/closing.js'
import { Interrupt } from '../../../activities/batch/interrupt.js'
import { virtualTime } from '../../support/virtual-time.js'

vi.mock('node:timers/promises', () => import('../../support/virtual-sleep.js'))
beforeEach(virtualTime.begin)
afterEach(virtualTime.end)

interface Fake extends Closable {
  handlingSince: number | null
}

const idle = (): Fake => ({ handlingSince: null, slow: false, interrupt: new Interrupt() })
const busy = (): Fake => ({ ...idle(), handlingSince: performance.now() })

describe('at its boundary, a partition', () => {
  it('goes on as long as the batch is open', async () => {
    const one = idle()
    expect(await new Closing([one]).boundaryOf(one)).toBeNull()
  })

  it('ends at once where no neighbour is in a call of its handler', async () => {
    const [one, other] = [idle(), idle()]
    const closing = new Closing([one, other])
    closing.close('rest')
    expect(await closing.boundaryOf(one)).toBe('rest')
  })

  it('waits for a neighbour in a call of its handler, and ends as soon as that one is out', async () => {
    const [one, other] = [idle(), busy()]
    const closing = new Closing([one, other])
    closing.close('more')
    const end = closing.boundaryOf(one)
    await virtualTime.pass(100)
    closing.remove(other)
    const before = performance.now()
    expect(await end).toBe('more')
    expect(performance.now()).toBe(before)
  })

  it('goes on after 250 ms, and the neighbour is slow', async () => {
    const [one, other] = [idle(), busy()]
    const closing = new Closing([one, other])
    closing.close('more')
    const end = closing.boundaryOf(one)
    await virtualTime.pass(249)
    expect(other.slow).toBe(false)
    await virtualTime.pass(1)
    expect(await end).toBeNull()
    expect(other.slow).toBe(true)
  })

  it('ends once the slow neighbour has left', async () => {
    const [one, other] = [idle(), { ...busy(), slow: true }]
    const closing = new Closing([one, other])
    closing.close('more')
    expect(closing.stops(one)).toBe(false)
    other.handlingSince = null
    expect(await closing.boundaryOf(other)).toBe('slow')
    closing.remove(other)
    expect(await closing.boundaryOf(one)).toBe('more')
  })

  it('is let go of alone where only it was asked for, whatever its neighbours do', async () => {
    const [one, other] = [idle(), busy()]
    const closing = new Closing([one, other])
    closing.release(one)
    expect(await closing.boundaryOf(one)).toBe('released')
    expect(closing.stops(other)).toBe(false)
  })

  it('is let go of with all others, slow ones too, where the batch lets go', async () => {
    const [one, other] = [idle(), { ...busy(), slow: true }]
    const closing = new Closing([one, other])
    closing.close('released')
    expect([await closing.boundaryOf(one), await closing.boundaryOf(other)]).toEqual(['released', 'released'])
    expect(closing.close('more')).toBe(false)
  })
})

describe('after a failure, a partition', () => {
  it('waits as long as it is told, unless the batch closes', async () => {
    const one = idle()
    const closing = new Closing([one])
    let over = false
    void closing
      .wait(one, 10_000, () => 0)
      .then(() => {
        over = true
      })
    await virtualTime.pass(5_000)
    expect(over).toBe(false)
    closing.close('more')
    await virtualTime.pass(0)
    expect(over).toBe(true)
  })
})
