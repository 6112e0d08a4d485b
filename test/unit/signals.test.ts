import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { joined } from '../../src/model/signals.js'

describe('a joined signal', () => {
  it('aborts with the first of its parts, for the same reason, and leaves the others', () => {
    const [one, other] = [new AbortController(), new AbortController()]
    const { signal } = joined(one.signal, undefined, other.signal)
    expect(signal.aborted).toBe(false)
    other.abort('enough')
    expect([signal.aborted, signal.reason]).toEqual([true, 'enough'])
    expect(getEventListeners(one.signal, 'abort')).toEqual([])
  })

  it('has aborted where one of its parts has', () => {
    const one = new AbortController()
    const { signal } = joined(one.signal, AbortSignal.abort('over'))
    expect([signal.aborted, signal.reason]).toEqual([true, 'over'])
    expect(getEventListeners(one.signal, 'abort')).toEqual([])
  })

  it('leaves nothing with a part that lives long', () => {
    const long = new AbortController()
    for (let time = 0; time < 1_000; time++) joined(long.signal, new AbortController().signal).leave()
    expect(getEventListeners(long.signal, 'abort')).toEqual([])
    const { signal, leave } = joined(long.signal)
    leave()
    long.abort()
    expect(signal.aborted).toBe(false)
  })
})
