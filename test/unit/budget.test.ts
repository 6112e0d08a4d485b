import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SharedBudget } from '../../src/worker/budget.js'

const forever = new AbortController().signal

describe('the memory budget', () => {
  it('makes a demand wait until enough is given back, first come first served', async () => {
    const budget = new SharedBudget(100)
    const first = await budget.take(80, forever)
    const order: string[] = []
    const large = budget.take(60, forever).then(() => order.push('large'))
    const small = budget.take(10, forever).then(() => order.push('small'))
    await Promise.resolve()
    expect(order).toEqual([])
    first.release()
    await Promise.all([large, small])
    expect(order).toEqual(['large', 'small'])
    expect(budget.used).toBe(70)
  })

  it('lets one demand larger than all of it pass alone', async () => {
    const budget = new SharedBudget(100)
    const loan = await budget.take(1_000, forever)
    expect(budget.used).toBe(100)
    loan.resize(1_000)
    expect(budget.used).toBe(1_000)
    loan.release()
    expect(budget.used).toBe(0)
  })

  it('forgets a demand that is given up, and serves those behind it', async () => {
    const budget = new SharedBudget(100)
    const held = await budget.take(50, forever)
    const impatient = new AbortController()
    const gone = budget.take(90, impatient.signal)
    const next = budget.take(50, forever)
    impatient.abort(new Error('stopped'))
    await expect(gone).rejects.toThrow('stopped')
    expect(await next).toBeDefined()
    held.release()
  })

  it('gives back exactly what was lent, whatever the order of resizes and releases', async () => {
    const step = fc.record({
      take: fc.integer({ min: 1, max: 50 }),
      resize: fc.integer({ min: 0, max: 80 }),
      twice: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        const budget = new SharedBudget(1_000_000)
        for (const { take, resize, twice } of steps) {
          const loan = await budget.take(take, forever)
          loan.resize(resize)
          loan.release()
          if (twice) loan.release()
        }
        expect(budget.used).toBe(0)
      }),
    )
  })
})
