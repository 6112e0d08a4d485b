import type { Answer } from './gather.js'

/**
 * For requests that can hold one question of each name: the second question of a name waits for the first one's answer.
 * A failed request fails its own questions only.
 */
export function inRounds<Q, A>(nameOf: (question: Q) => string, answer: Answer<Q, A>): Answer<Q, A> {
  return async (questions) => {
    const rounds = roundsOf(questions.map(nameOf))
    if (rounds.length === 1) return answer(questions)
    const outcomes: (A | Error)[] = []
    for (const round of rounds) {
      const answers = await answer(round.map((index) => questions[index]!)).catch((error: unknown) =>
        round.map(() => (error instanceof Error ? error : new Error(String(error)))),
      )
      for (const [n, index] of round.entries()) outcomes[index] = answers[n]!
    }
    return outcomes
  }
}

/** Indexes of names, the first of each name in the first round, the second ones in the second. */
function roundsOf(names: readonly string[]): number[][] {
  const rounds: number[][] = []
  const times = new Map<string, number>()
  for (const [index, name] of names.entries()) {
    const before = times.get(name) ?? 0
    times.set(name, before + 1)
    const round = rounds[before]
    if (round) round.push(index)
    else rounds.push([index])
  }
  return rounds
}
