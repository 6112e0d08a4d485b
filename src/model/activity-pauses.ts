/** Temporal's pauses between the tries of an activity whose failure names none itself, ms: the first, doubled each time, and the longest. */
export const activityPauses = {
  process: { first: 100, longest: 1_000 },
  control: { first: 200, longest: 10_000 },
} as const
