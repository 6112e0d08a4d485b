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
    expect(failing(4, 'a').judge('a', 9)).toBe('leave')
  })

  it('stays where as many have left as may', () => {
    const trouble = failing(1, 'a')
    expect(trouble.judge('a', 9)).toBe('leave')
    trouble.failed('b')
    expect(trouble.judge('b', 9)).toBe('stay')
  })

  it('stays where none may leave, and no neighbour fails', () => {
    expect(failing(0, 'a').judge('a', 9)).toBe('stay')
  })

  it('fails the batch together with more neighbours than may leave, and than fail by coincidence', () => {
    expect(failing(4, 'a', 'b', 'c', 'd', 'e').judge('a', 9)).toBe('all')
    expect(failing(0, 'a', 'b', 'c', 'd', 'e').judge('e', 9)).toBe('all')
    expect(failing(0, 'a', 'b', 'c', 'd').judge('a', 9)).toBe('stay')
  })

  it('fails the batch together with all its neighbours, where not all of them may leave', () => {
    expect(failing(1, 'a', 'b').judge('a', 2)).toBe('all')
    expect(failing(2, 'a', 'b').judge('a', 2)).toBe('leave')
  })

  it('leaves together with its neighbours, as long as all of them may', () => {
    const trouble = failing(2, 'a', 'b')
    expect([trouble.judge('a', 9), trouble.judge('b', 9)]).toEqual(['leave', 'leave'])
  })

  it('does not fail the batch where a neighbour has handled something since', () => {
    const trouble = failing(1, 'a', 'b')
    trouble.succeeded('c')
    expect([trouble.judge('a', 9), trouble.judge('b', 2)]).toEqual(['leave', 'stay'])
  })

  it('fails the batch where neighbours have handled something only before', () => {
    const trouble = new Trouble<string>(0)
    trouble.succeeded('c')
    trouble.failed('a')
    trouble.failed('b')
    expect(trouble.judge('a', 2)).toBe('all')
  })

  it('does not fail the batch where a neighbour is done with its part, which would wait and be worked once more', () => {
    const trouble = failing(0, 'a', 'b')
    trouble.ended()
    expect(trouble.judge('a', 2)).toBe('stay')
    for (const partition of ['c', 'd', 'e']) trouble.failed(partition)
    expect(trouble.judge('a', 5)).toBe('all')
  })

  it('counts no neighbour that has succeeded or gone', () => {
    const trouble = failing(0, 'a', 'b', 'c')
    trouble.gone('b')
    trouble.succeeded('c')
    trouble.succeeded('a')
    trouble.failed('a')
    expect(trouble.judge('a', 1)).toBe('stay')
  })
})
