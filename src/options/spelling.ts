/** A question to append to a message, when one of the words allowed is near the one given, or means the same; otherwise nothing. */
export function guess(given: unknown, allowed: readonly string[]): string {
  const meant = typeof given === 'string' ? (sameElsewhere(given, allowed) ?? nearest(given, allowed)) : undefined
  return meant === undefined ? '' : `; did you mean '${meant}'?`
}

/** Behind the last message of the log, where that can be said; else the words that come next to it. */
const end = ['next', 'last', 'head']
/** What the words of Kafka's and RabbitMQ's clients are here, the best first. */
const elsewhere: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    earliest: ['first'],
    beginning: ['first'],
    latest: end,
    end,
    none: ['fail'],
  }),
)

function sameElsewhere(given: string, allowed: readonly string[]): string | undefined {
  return elsewhere.get(given.trim().toLowerCase())?.find((word) => allowed.includes(word))
}

/** The word that was probably meant: a third of its letters may be wrong, or its end may be missing. */
export function nearest(given: string, allowed: readonly string[]): string | undefined {
  const word = given.toLowerCase()
  // Text much longer than any option is not a misspelling, and comparing it would take time.
  if (word.length > 40) return undefined
  const near = allowed
    .map((candidate) => ({ candidate, distance: distance(word, candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.max(1, Math.floor(candidate.length / 3)))
    .sort((a, b) => a.distance - b.distance)
  if (near[0]) return near[0].candidate
  return word.length < 3 ? undefined : allowed.find((candidate) => candidate.toLowerCase().startsWith(word))
}

/** Edits between two words: a letter added, left out or replaced, or two neighbors swapped (optimal string alignment). */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      row[j] = Math.min(replaced, rows[i - 1]![j]! + 1, row[j - 1]! + 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) row[j] = Math.min(row[j]!, rows[i - 2]![j - 2]! + 1)
    }
    rows.push(row)
  }
  return rows[a.length]![b.length]!
}
