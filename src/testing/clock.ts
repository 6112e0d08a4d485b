/**
 * The time that Temporal lives in. Handlers and their `Date.now()` stay in real time. Time moves by itself as real time does, and
 * skips ahead only in `advance`.
 */
export interface TestClock {
  /** Milliseconds since 1970. */
  now(): Promise<number>
  /** Lets so many milliseconds pass. What falls due meanwhile happens in its order, each at its time. */
  advance(ms: number): Promise<void>
}
