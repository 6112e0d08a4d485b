/** Billable actions by their kind, as Temporal's server names them. */
export type ActionCounts = Readonly<Record<string, number>>

/** Reads how many actions a Temporal server has counted for a namespace since it was started. Throws without an answer. */
export async function fetchActionCounts(metricsUrl: string, namespace: string): Promise<ActionCounts> {
  const response = await fetch(metricsUrl)
  if (!response.ok) throw new Error(`${metricsUrl} answered ${response.status}`)
  return parseActionCounts(await response.text(), namespace)
}

/**
 * Reads the server's counter `action` from its metrics, in Prometheus' text format. The counter follows the rules by which Temporal Cloud
 * bills.
 */
export function parseActionCounts(metrics: string, namespace: string): ActionCounts {
  const counts: Record<string, number> = {}
  for (const [, labels, value] of metrics.matchAll(/^action\{(.*)\} (\S+)$/gm)) {
    const label = (name: string) => new RegExp(`(?:^|,)${name}="([^"]*)"`).exec(labels!)?.[1]
    if (label('namespace') !== namespace) continue
    const kind = label('action_type') ?? 'unknown'
    counts[kind] = (counts[kind] ?? 0) + Number(value)
  }
  return counts
}

/** What was counted in between, by kind; kinds that were not are left out. */
export function countedBetween(before: ActionCounts, after: ActionCounts): ActionCounts {
  const differences = Object.entries(after).map(([kind, count]) => [kind, count - (before[kind] ?? 0)] as const)
  return Object.fromEntries(differences.filter(([, count]) => count > 0))
}

/** How many actions of all other kinds there were. */
export function exceptHeartbeats(counts: ActionCounts): number {
  return Object.entries(counts).reduce((sum, [kind, count]) => (kind.endsWith('Heartbeat') ? sum : sum + count), 0)
}
