import { describe, expect, it } from 'vitest'
import { Trouble } from '../../../activities/batch/trouble.js'

/** Partitions that fail one after the other. */
function failing(mayLeave: number, ...partitions: string[]): Trouble<string> {
  const trouble = new Trouble<string>(mayLeave)
  for (const partition of partitions) trouble.failed(partition)
  return trouble
}

describe('a partition that fails', () => {
  it('leaves', () => {
    expect(failing(4, 'a').judge('a')).toBe('leave')
  })

  it('stays where as many have left as may', () => {
    const trouble = failing(1, 'a')
    expect(trouble.judge('a')).toBe('leave')
    trouble.failed('b')
    expect(trouble.judge('b')).toBe('stay')
  })

  it('stays where none may leave, and no neighbour fails', () => {
    expect(failing(0, 'a').judge('a')).toBe('stay')
  })

  it('fails the batch together with more neighbours than may leave', () => {
    expect(failing(1, 'a', 'b').judge('a')).toBe('all')
    expect(failing(0, 'a', 'b').judge('b')).toBe('all')
  })

  it('leaves together with its neighbours, as long as all of them may', () => {
    const trouble = failing(2, 'a', 'b')
    expect([trouble.judge('a'), trouble.judge('b')]).toEqual(['leave', 'leave'])
  })

  it('does not fail the batch where a neighbour has handled something since', () => {
    const trouble = failing(1, 'a', 'b')
    trouble.succeeded('c')
    expect([trouble.judge('a'), trouble.judge('b')]).toEqual(['leave', 'stay'])
  })

  it('fails the batch where neighbours have handled something only before', () => {
    const trouble = new Trouble<string>(0)
    trouble.succeeded('c')
    trouble.failed('a')
    trouble.failed('b')
    expect(trouble.judge('a')).toBe('all')
  })

  it('counts no neighbour that has succeeded or gone', () => {
    const trouble = failing(0, 'a', 'b', 'c')
    trouble.gone('b')
    trouble.succeeded('c')
    trouble.succeeded('a')
    trouble.failed('a')
    expect(trouble.judge('a')).toBe('stay')
  })
})
