/**
 * Works on all items, at most so many at the same time, and begins with them in their order.
 *
 * @returns what `work` returned, in the order of the items
 * @throws what `work` threw first: nothing more begins then, and what is under way has ended
 */
export async function eachOf<T, R>(
  items: Iterable<T>,
  lanes: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const queue = [...items]
  const results = new Array<R>(queue.length)
  let failure: { readonly error: unknown } | null = null
  let next = 0
  const lane = async () => {
    while (next < queue.length && !failure) {
      const index = next++
      try {
        results[index] = await work(queue[index]!, index)
      } catch (error) {
        failure ??= { error }
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(lanes, queue.length) }, lane))
  if (failure) throw (failure as { readonly error: unknown }).error
  return results
}
