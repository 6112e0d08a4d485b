/**
 * Takes the place of `node:timers/promises` in tests with fake timers, which don't reach that module:
 * `vi.mock('node:timers/promises', () => import('../../support/virtual-sleep.js'))`
 */
export { sleep as setTimeout }

function sleep<T>(ms: number, value?: T, { signal }: { readonly signal?: AbortSignal } = {}): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = globalThis.setTimeout(() => {
      signal?.removeEventListener('abort', end)
      resolve(value)
    }, ms)
    if (signal?.aborted) end()
    else signal?.addEventListener('abort', end, { once: true })
  })
}
