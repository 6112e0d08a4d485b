/** Servers may refuse a summary of more than 400 bytes, which a codec makes longer still. */
const longestSummary = 130

/** What Temporal's lists show of a workflow or an activity: one line. */
export function shortSummary(text: string): string {
  return brief(text, longestSummary)
}

/** The text on one line, cut where it is longer. */
export function brief(text: string, longest: number): string {
  const flat = text.replace(/\s+/g, ' ').trim()
  return flat.length > longest ? `${flat.slice(0, longest - 1)}…` : flat
}
