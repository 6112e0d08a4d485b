import { describe, expect, it } from 'vitest'
import { Gather } from '../../src/storing/gather.js'
import { inRounds } from '../../src/storing/in-rounds.js'

describe('gathering questions', () => {
  it('everything asked in one turn of the event loop is one round, also after promises that are settled by then', async () => {
    const rounds: (readonly number[])[] = []
    const gather = new Gather<number, number>(async (questions) => {
      rounds.push(questions)
      return questions.map((n) => n * 2)
    })
    const later = async (n: number) => {
      await Promise.resolve()
      await Promise.resolve()
      return gather.ask(n)
    }
    expect(await Promise.all([gather.ask(1), later(2), gather.ask(3)])).toEqual([2, 4, 6])
    expect(rounds).toEqual([[1, 3, 2]])
    expect(await gather.ask(4)).toBe(8)
    expect(rounds).toHaveLength(2)
  })

  it("one question's error does not fail the others of its round", async () => {
    const gather = new Gather<number, number>(async (questions) =>
      questions.map((n) => (n === 2 ? new Error('not two') : n)),
    )
    const outcomes = await Promise.allSettled([1, 2, 3].map((n) => gather.ask(n)))
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  })

  it('a failed round fails all of its questions and none of the next round', async () => {
    const gather = new Gather<string, string>(async (questions) => {
      if (questions.includes('bad')) throw new Error('lost')
      return questions
    })
    const failed = await Promise.allSettled([gather.ask('good'), gather.ask('bad')])
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(await gather.ask('good')).toBe('good')
  })

  it('a round has no more questions than it may', async () => {
    const sizes: number[] = []
    const answer = async (questions: readonly number[]) => {
      sizes.push(questions.length)
      return questions
    }
    const gather = new Gather<number, number>(answer, { most: 3 })
    const numbers = Array.from({ length: 8 }, (_, n) => n)
    expect(await Promise.all(numbers.map((n) => gather.ask(n)))).toEqual(numbers)
    expect(sizes).toEqual([3, 3, 2])
  })

  it.each([1, 2])('questions asked while %i rounds are under way share the next one', async (atOnce) => {
    const open: { questions: readonly number[]; answer: () => void }[] = []
    const gather = new Gather<number, number>(
      (questions) =>
        new Promise((resolve) => {
          open.push({ questions, answer: () => resolve(questions) })
        }),
      { atOnce },
    )
    const turn = () => new Promise((resolve) => setImmediate(resolve))
    const asked: Promise<number>[] = []
    for (let n = 0; n < atOnce + 2; n++) {
      asked.push(gather.ask(n))
      await turn()
      await turn()
    }
    expect(open).toHaveLength(atOnce)
    for (const { answer } of open) answer()
    await turn()
    await turn()
    expect(open.at(-1)!.questions).toEqual([atOnce, atOnce + 1])
    open.at(-1)!.answer()
    await Promise.all(asked)
  })
})

describe('questions in rounds', () => {
  it('two questions of one name come one after the other, and outcomes keep the order of the questions', async () => {
    const rounds: (readonly string[])[] = []
    const answer = inRounds<string, string>(
      (question) => question[0]!,
      async (questions) => {
        rounds.push(questions)
        return questions.map((question) => question.toUpperCase())
      },
    )
    expect(await answer(['a1', 'b1', 'a2', 'c1', 'a3', 'b2'])).toEqual(['A1', 'B1', 'A2', 'C1', 'A3', 'B2'])
    expect(rounds).toEqual([['a1', 'b1', 'c1'], ['a2', 'b2'], ['a3']])
  })

  it('a failed round fails its own questions only', async () => {
    const answer = inRounds<string, string>(
      (question) => question[0]!,
      async (questions) => {
        if (questions.includes('a2')) throw new Error('lost')
        return questions
      },
    )
    expect(await answer(['a1', 'b1', 'a2', 'a3'])).toEqual(['a1', 'b1', expect.any(Error), 'a3'])
  })
})
