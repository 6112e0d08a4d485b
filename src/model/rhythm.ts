import type { Rhythm } from './batch.js'

/** Weight of the newest gap. */
const newest = 0.3
/** A batch stays open for so many typical gaps before it counts as idle. */
const patience = 3

export const unknownRhythm: Rhythm = { gapMs: null, lastAt: null }

/** Takes note of an arrival at `now` (ms since 1970). Clocks of two workers may differ, so a negative gap counts as none. */
export function arrived(rhythm: Rhythm, now: number): Rhythm {
  if (rhythm.lastAt === null) return { gapMs: rhythm.gapMs, lastAt: now }
  const gap = Math.max(0, now - rhythm.lastAt)
  return { gapMs: rhythm.gapMs === null ? gap : rhythm.gapMs + newest * (gap - rhythm.gapMs), lastAt: now }
}

/**
 * How long a batch waits for its next message before it closes, ms. Where messages come every few seconds, waiting for the
 * next one is cheaper than a batch for each; where they come more rarely than about two in a batch's lifetime, it is not.
 */
export function idleGap(
  rhythm: Rhythm,
  limits: { readonly idleGapMs: number; readonly maxDurationMs: number },
): number {
  const { gapMs } = rhythm
  if (gapMs === null || gapMs * 2 > limits.maxDurationMs) return limits.idleGapMs
  return Math.min(Math.max(limits.idleGapMs, gapMs * patience), limits.maxDurationMs)
}
