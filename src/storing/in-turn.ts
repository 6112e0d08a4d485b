/** The last piece of work for each name, in this process. */
const ends = new Map<string, Promise<unknown>>()

/** Runs `work` when everything begun before under that name has ended, one after the other. */
export async function inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
  const before = ends.get(name) ?? Promise.resolve()
  const result = before.then(work)
  const end = result.catch(() => {})
  ends.set(name, end)
  try {
    return await result
  } finally {
    if (ends.get(name) === end) ends.delete(name)
  }
}
