import type { Client } from '@temporalio/client'

/** All that Temporal holds of workflows: histories, pending activities, memos, search attributes, heartbeat details, and the pages' texts. */
export async function temporalText(client: Client, workflowIds: readonly string[]): Promise<string> {
  const texts = workflowIds.map(async (id) => {
    const handle = client.workflow.getHandle(id)
    const known = await Promise.all([
      handle.fetchHistory(),
      handle.describe().then(({ raw }) => raw),
      handle.query('__temporal_workflow_metadata'),
    ])
    return JSON.stringify(known, asText)
  })
  return (await Promise.all(texts)).join('\n')
}

/** Bytes as the text that they mostly are. */
function asText(_: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1')
  const buffer = value as { type?: unknown; data?: readonly number[] } | null
  if (buffer?.type === 'Buffer' && Array.isArray(buffer.data)) return Buffer.from(buffer.data).toString('latin1')
  return typeof value === 'bigint' ? String(value) : value
}
