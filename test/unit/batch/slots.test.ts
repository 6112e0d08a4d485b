import { describe, expect, it } from 'vitest'
import { Interrupt } from '../../../activities/batch/interrupt.js'
import { Slots } from '../../../activities/batch/slots.js'

/** Lets everything that can go on go on. */
const settled = () => new Promise(setImmediate)

/** Takes a slot in the background, and notes when it has it. */
function taker(slots: Slots, order: string[], name: string) {
  const interrupt = new Interrupt()
  const taken = slots.take(interrupt).then((giveBack) => {
    order.push(giveBack ? name : `${name} went`)
    return giveBack
  })
  return { interrupt, taken }
}

describe('slots', () => {
  it('are never more than there are', async () => {
    const order: string[] = []
    const slots = new Slots(2)
    for (const name of ['a', 'b', 'c']) taker(slots, order, name)
    await settled()
    expect(order).toEqual(['a', 'b'])
  })

  it('go to who came first', async () => {
    const order: string[] = []
    const slots = new Slots(1)
    const first = taker(slots, order, 'a')
    const second = taker(slots, order, 'b')
    taker(slots, order, 'c')
    ;(await first.taken)!()
    await settled()
    expect(order).toEqual(['a', 'b'])
    ;(await second.taken)!()
    await settled()
    expect(order).toEqual(['a', 'b', 'c'])
  })

  it('count once however often they are given back', async () => {
    const order: string[] = []
    const slots = new Slots(1)
    const giveBack = (await taker(slots, order, 'a').taken)!
    giveBack()
    giveBack()
    for (const name of ['b', 'c']) taker(slots, order, name)
    await settled()
    expect(order).toEqual(['a', 'b'])
  })

  it('pass by a waiter that was interrupted', async () => {
    const order: string[] = []
    const slots = new Slots(1)
    const first = taker(slots, order, 'a')
    const second = taker(slots, order, 'b')
    taker(slots, order, 'c')
    await settled()
    second.interrupt.fire()
    expect(await second.taken).toBeNull()
    ;(await first.taken)!()
    await settled()
    expect(order).toEqual(['a', 'b went', 'c'])
  })

  it('are not lost with a waiter that is interrupted in the turn that grants it one', async () => {
    const order: string[] = []
    const slots = new Slots(1)
    const first = taker(slots, order, 'a')
    const second = taker(slots, order, 'b')
    taker(slots, order, 'c')
    await settled()
    const giveBack = (await first.taken)!
    second.interrupt.fire()
    giveBack()
    await settled()
    expect(order).toEqual(['a', 'b went', 'c'])
  })
})
