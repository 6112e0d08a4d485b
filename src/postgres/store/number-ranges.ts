/* Whole numbers from 0 as Postgres writes an `int4multirange`: `{[0,12),[15,16)}`. */

/** @param numbers in ascending order, each once */
export function multirangeOf(numbers: readonly number[]): string {
  const ranges: { from: number; to: number }[] = []
  for (const number of numbers) {
    const last = ranges.at(-1)
    if (last && number === last.to + 1) last.to = number
    else ranges.push({ from: number, to: number })
  }
  return `{${ranges.map(({ from, to }) => `[${from},${to}]`).join()}}`
}

/** @param multirange as Postgres prints it: each range includes its start and not its end */
export function numbersIn(multirange: string): number[] {
  return [...multirange.matchAll(/\[(\d+),(\d+)\)/g)].flatMap(([, from, end]) =>
    Array.from({ length: Number(end) - Number(from) }, (_, n) => Number(from) + n),
  )
}
