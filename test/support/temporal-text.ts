import type { Client } from '@temporalio/client'

/** All that Temporal holds of workflows: histories, pending activities, memos, search attributes, heartbeat details, and the pages' texts. */
export async function temporalText(client: Client, workflowIds: readonly string[]): Promise<string> {
  const texts = workflowIds.map(async (id) => {
    const handle = client.workflow.getHandle(id)
    return `${await storedText(client, id)}\n${textOf(await handle.query('__temporal_workflow_metadata'))}`
  })
  return (await Promise.all(texts)).join('\n')
}

/** The same without the pages' texts, which a worker tells. */
export async function storedText(client: Client, workflowId: string): Promise<string> {
  const { namespace } = client.options
  const known = await Promise.all([
    client.workflow.getHandle(workflowId).fetchHistory(),
    client.workflowService.describeWorkflowExecution({ namespace, execution: { workflowId } }),
  ])
  return textOf(known)
}

/** What workflows wait for at the moment, and whom Temporal has given it to: for a test whose work does not go on. */
export async function waitingFor(client: Client, workflowIds: readonly string[]): Promise<string> {
  const texts = workflowIds.map(async (id) => {
    const { pendingActivities, pendingWorkflowTask } = (await client.workflow.getHandle(id).describe()).raw
    return `${id}\n${textOf({ pendingActivities, pendingWorkflowTask })}`
  })
  return (await Promise.all(texts)).join('\n')
}

/** Every value in it, a line each; bytes as the text that they mostly are. JSON would make base64 of them, which hides what it holds. */
function textOf(value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1')
  if (typeof value !== 'object' || value === null) return String(value)
  return Object.entries(value)
    .map(([name, part]) => `${name} ${textOf(part)}`)
    .join('\n')
}
