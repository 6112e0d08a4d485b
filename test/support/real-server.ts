import type { Client, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client'
import { NativeConnection } from '@temporalio/worker'
import { afterAll, beforeAll } from 'vitest'
import { type GroupInput, type GroupStatus, type SliceInput, workflowTypes } from '../../src/model/commands.js'
import { groupWorkflowId, sliceWorkflowId } from '../../src/model/partition.js'
import { temporalClient } from './consume.js'
import { part } from './parts.js'
import { type Activities, workOn } from './workflow-env.js'

/** The test stack's Temporal, for the real workflows with activities of the test's own. */
export interface RealServer {
  readonly client: Client
  /** Runs a worker with the real workflows and these activities, for as long as `test` does. */
  withActivities<T>(activities: Partial<Activities>, test: (queue: string) => Promise<T>): Promise<T>
  startSlice(queue: string, input: SliceInput): Promise<WorkflowHandleWithFirstExecutionRunId>
  startGroup(queue: string, input: GroupInput): Promise<WorkflowHandleWithFirstExecutionRunId<StartedGroup>>
}

type StartedGroup = (input: GroupInput) => Promise<GroupStatus>

/** Connects before the tests of a `describe`, and closes after them. */
export function realServer(): RealServer {
  let client: Awaited<ReturnType<typeof temporalClient>>
  let nativeConnection: NativeConnection
  beforeAll(async () => {
    client = await temporalClient()
    nativeConnection = await NativeConnection.connect({ address: part('temporal').address })
  })
  afterAll(async () => {
    await client?.close()
    await nativeConnection?.close()
  })
  return {
    get client() {
      return client
    },
    withActivities: (activities, test) =>
      workOn({ nativeConnection, namespace: part('temporal').namespace }, activities, test),
    startSlice: (taskQueue, input) =>
      client.workflow.start(workflowTypes.slice, {
        workflowId: sliceWorkflowId(input.name, input.slice),
        taskQueue,
        args: [input],
      }),
    startGroup: (taskQueue, input) =>
      client.workflow.start<StartedGroup>(workflowTypes.group, {
        workflowId: groupWorkflowId(input.group, input.stream),
        taskQueue,
        args: [input],
      }),
  }
}
