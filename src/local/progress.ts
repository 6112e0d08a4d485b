/** Told, in one line, what the launcher is doing. */
export type Progress = (line: string) => void

/** For callers who don't want to know. */
export const silent: Progress = () => {}

/** Reports `text` at once and again every 10 s with the seconds gone, until `work` settles. */
export async function showing<T>(progress: Progress, text: string, work: Promise<T>): Promise<T> {
  const begin = performance.now()
  progress(text)
  const timer = setInterval(() => progress(`${text} ... ${Math.round((performance.now() - begin) / 1000)} s`), 10_000)
  try {
    return await work
  } finally {
    clearInterval(timer)
  }
}
