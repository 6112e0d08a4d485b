import { describe, expect, it } from 'vitest'
import { type SeenRun, SetBack } from '../../src/temporal/set-back.js'

const seen = (workflowId: string, runId: string, historyLength: number, startedAt = 0): SeenRun => ({
  workflowId,
  runId,
  historyLength,
  startTime: new Date(startedAt),
})

describe('Temporal', () => {
  const looking = () => {
    const setBack = new SetBack()
    return async (run: SeenRun) => (await setBack.look(run.workflowId, async () => run)).outdated
  }

  it('goes on while histories grow, and new runs follow', async () => {
    const look = looking()
    for (const run of [seen('a', '1', 10), seen('a', '1', 20), seen('a', '1', 20), seen('a', '2', 3, 5)])
      expect(await look(run)).toBe(false)
  })

  it('was set back where a history is shorter than before, with all runs that were there by then', async () => {
    const look = looking()
    await look(seen('group', 'g', 30))
    await look(seen('a', '1', 20))
    expect(await look(seen('a', '1', 19))).toBe(true)
    expect(await look(seen('a', '1', 40))).toBe(true)
    expect(await look(seen('group', 'g', 30))).toBe(true)
    // Those that begin afterwards are in order.
    expect(await look(seen('a', '2', 3, 9))).toBe(false)
    expect(await look(seen('a', '2', 5, 9))).toBe(false)
  })

  it('was set back where an earlier run is there again', async () => {
    const look = looking()
    await look(seen('a', '2', 3, 5))
    expect(await look(seen('a', '1', 100, 1))).toBe(true)
  })

  it('was not where answers overtake one another', async () => {
    const setBack = new SetBack()
    let answer: (run: SeenRun) => void = () => {}
    await setBack.look('a', async () => seen('a', '1', 10))
    const slow = setBack.look('a', () => new Promise<SeenRun>((resolve) => (answer = resolve)))
    await setBack.look('a', async () => seen('a', '1', 20))
    answer(seen('a', '1', 15))
    expect(await slow).toMatchObject({ outdated: false })
    expect(await setBack.look('a', async () => seen('a', '1', 20))).toMatchObject({ outdated: false })
  })
})
