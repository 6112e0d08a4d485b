interface Progress {
  readonly group: string
  readonly stream: string
  readonly partitions: readonly { readonly partition: number; readonly committed: string | null }[]
}

/** How fast groups move between two looks, by what they have committed. */
export class Rates {
  readonly #seen = new Map<string, { at: number; committed: Map<number, bigint> }>()

  /** Messages per second since the last look, for people; null at the first one. After a reset backwards it is 0. */
  of({ group, stream, partitions }: Progress, now = performance.now()): string | null {
    const name = JSON.stringify([group, stream])
    const before = this.#seen.get(name)
    const committed = new Map(
      partitions.flatMap((one) => (one.committed === null ? [] : [[one.partition, BigInt(one.committed)]])),
    )
    this.#seen.set(name, { at: now, committed })
    if (!before || now <= before.at) return null
    let moved = 0n
    for (const [partition, position] of committed) {
      const then = before.committed.get(partition) ?? position
      if (position > then) moved += position - then
    }
    const rate = (Number(moved) * 1000) / (now - before.at)
    return rate >= 10 || rate === 0 ? String(Math.round(rate)) : rate.toFixed(1)
  }
}
