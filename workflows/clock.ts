/** Workflow time as ISO text. The SDK makes `Date` deterministic inside workflows. */
export function now(): string {
  return new Date().toISOString()
}
