import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { messageOf } from '../../../src/model/errors.js'
import { behind, framesOf, lookAt, mostText } from '../../../src/model/thrown.js'

/** An error whose properties are getters that count. */
function counted(values: Record<string, unknown>): { readonly error: object; readonly reads: Record<string, number> } {
  const reads: Record<string, number> = {}
  const error = Object.create(Error.prototype)
  for (const [name, value] of Object.entries(values)) {
    const get = () => {
      reads[name] = (reads[name] ?? 0) + 1
      return value
    }
    Object.defineProperty(error, name, { get })
  }
  return { error, reads }
}

/** A list that counts how often one of its items is looked at. */
function countedList(items: unknown[]): { readonly list: readonly unknown[]; readonly reads: () => number } {
  let reads = 0
  const get = (target: unknown[], name: string | symbol) => {
    if (typeof name === 'string' && /^\d+$/.test(name)) reads++
    return Reflect.get(target, name)
  }
  return { list: new Proxy(items, { get }), reads: () => reads }
}

describe('looking at what was thrown', () => {
  it('takes the beginning of a message of any length, and says how long all of it is', () => {
    expect(lookAt(new Error('x'.repeat(5_000_000)))).toMatchObject({ length: 5_000_000, message: 'x'.repeat(mostText) })
    expect(lookAt('x'.repeat(5_000_000))).toMatchObject({ length: 5_000_000, message: 'x'.repeat(mostText) })
    expect(messageOf(new Error('x'.repeat(5_000_000)))).toHaveLength(mostText)
  })

  it('reads each property once', () => {
    const { error, reads } = counted({ message: 'no', name: 'Late', code: 'X', stack: 's', cause: 1, errors: [] })
    const look = lookAt(error)
    framesOf(error, look)
    behind(error)
    expect(look).toMatchObject({ message: 'no', name: 'Late', code: 'X' })
    expect(reads).toEqual({ message: 1, name: 1, code: 1, stack: 1, cause: 1, errors: 1 })
  })

  it('knows the class by the code, and not by what the error calls itself', () => {
    class OutOfStock extends Error {
      override readonly name = 'a name with data'
    }
    expect(lookAt(new OutOfStock('no'))).toMatchObject({ className: 'OutOfStock', name: 'a name with data' })
    expect(lookAt(Object.assign(new Error('no'), { constructor: { name: 'data' } })).className).toBe('Error')
    expect(lookAt({ message: 'no' }).className).toBeNull()
  })

  it('of a validation error looks at the first issues, and never has the message made', () => {
    const parsed = z.array(z.object({ amount: z.number() })).safeParse(Array.from({ length: 10_000 }, () => ({})))
    const { list, reads } = countedList(parsed.error!.issues)
    let made = 0
    const error = Object.defineProperties(new Error(), {
      issues: { value: list },
      message: { get: () => `${++made}` },
    })
    const text = '0.amount: Invalid input: expected number, received undefined; 1.amount: '
    expect(lookAt(error).message).toContain(text)
    expect(lookAt(error).message).toMatch(/; and 9995 more$/)
    expect([made, reads() <= 10]).toEqual([0, true])
    expect(lookAt(parsed.error).message).toBe(lookAt(error).message)
  })

  it('of several errors looks at the first ones, and not into them', () => {
    const { list, reads } = countedList(Array.from({ length: 10_000 }, (_, index) => new Error(`no ${index}`)))
    const error = new AggregateError([], 'all failed')
    Object.defineProperty(error, 'errors', { value: list })
    expect(lookAt(error).message).toBe('all failed: no 0; no 1; no 2; no 3; no 4')
    expect(reads()).toBe(5)
    const itself = new AggregateError([], 'all failed')
    itself.errors.push(itself)
    expect(lookAt(itself).message).toBe('all failed: all failed')
    expect(messageOf(itself)).toBe('all failed: all failed')
  })

  it('survives what throws, whatever is looked at', () => {
    const bad = () => {
      throw new Error('from the getter')
    }
    for (const name of ['message', 'name', 'code', 'stack', 'cause', 'errors', 'issues']) {
      const error = Object.defineProperty(new Error('hidden'), name, { get: bad })
      expect(() => [lookAt(error), framesOf(error, lookAt(error)), behind(error), messageOf(error)]).not.toThrow()
    }
    const traps = Object.fromEntries(Reflect.ownKeys(Reflect).map((name) => [name, bad]))
    const proxy = new Proxy(new Error('hidden'), traps)
    expect(lookAt(proxy)).toMatchObject({ unreadable: true, message: null, className: null })
    expect(behind(proxy)).toEqual([])
  })

  it('does not write out a number of a million digits', () => {
    expect(lookAt(1n << 4_000_000n)).toMatchObject({ what: 'a bigint', message: null })
    expect(lookAt(42n)).toMatchObject({ what: 'a bigint', message: '42' })
  })

  it('finds the frames behind a message of any length, and takes no frame from it', () => {
    const error = new Error(`x\n    at payload (1:1)\n${'y'.repeat(1_000_000)}`)
    const frames = framesOf(error, lookAt(error))
    expect(frames[0]).toContain('thrown.test.ts')
    expect(frames.length).toBeLessThanOrEqual(5)
  })
})
