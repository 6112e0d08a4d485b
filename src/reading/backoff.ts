import { pauseFor } from '../model/pause.js'

const firstMs = 50
const longestMs = 3_000

/** The pause after so many failed tries, from 1, ms: it doubles, with jitter, so that many readers do not come back at the same moment. */
export function pauseAfter(tries: number): number {
  return Math.min(firstMs * 2 ** (tries - 1), longestMs) * (0.5 + Math.random() / 2)
}

/** The pause after so many failed tries, from 1. Resolves early when `signal` aborts. */
export async function pause(tries: number, signal: AbortSignal): Promise<void> {
  await pauseFor(pauseAfter(tries), signal)
}
