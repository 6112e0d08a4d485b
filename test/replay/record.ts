import { mkdir, writeFile } from 'node:fs/promises'
import { Client, Connection } from '@temporalio/client'
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js'
import { NativeConnection } from '@temporalio/worker'
import { startStack } from '../../src/local/stack.js'
import { workflowTypes } from '../../src/model/commands.js'
import { groupWorkflowId, sliceWorkflowId } from '../../src/model/partition.js'
import { groupInput, revisionOn, sliceInput, workOn } from '../support/workflow-env.js'
import { scenarios } from './scenarios.js'

/*
 * Records the scenarios' histories into test/replay/histories. Old files stay: workflows that began with them still run
 * somewhere. Run it when a release changes what workflows do: `npm run record -- v0.3`.
 */
const version = process.argv[2]
if (!version) {
  process.stderr.write('name the version that is recorded: npm run record -- v0.3\n')
  process.exit(2)
}
const folder = new URL('./histories/', import.meta.url)
await mkdir(folder, { recursive: true })
const stack = await startStack({ temporal: true })
try {
  const { address } = stack.temporal
  const nativeConnection = await NativeConnection.connect({ address })
  const client = new Client({ connection: await Connection.connect({ address }) })
  for (const [name, scenario] of Object.entries(scenarios)) {
    await workOn({ nativeConnection, namespace: 'default' }, scenario.activities(), async (queue) => {
      const bounded = scenario.until ? { until: scenario.until } : {}
      const group = { ...groupInput(queue), revision: { ...revisionOn(queue), ...bounded } }
      const slice = sliceInput(queue, scenario.partitions)
      const [type, workflowId, input] =
        scenario.workflow === 'group'
          ? [workflowTypes.group, groupWorkflowId(group.group, group.stream), group]
          : [workflowTypes.slice, sliceWorkflowId(slice.name, slice.slice), slice]
      const handle = await client.workflow.start(type, { workflowId, taskQueue: queue, args: [input] })
      await scenario.live(handle, queue)
      // Of the first run, where the scenario has more.
      const first = client.workflow.getHandle(workflowId, handle.firstExecutionRunId)
      const history = await first.fetchHistory()
      // Stacks name folders of the machine that recorded.
      const text = historyToJSON(history).replace(/"stackTrace": ?"(?:[^"\\]|\\.)*"/g, '"stackTrace": ""')
      await writeFile(new URL(`${name}.${version}.json`, folder), text)
      for (const id of [workflowId, ...[0, 1, 2].map((p) => `${workflowId}/${p}`)])
        await client.workflow
          .getHandle(id)
          .terminate()
          .catch(() => {})
      process.stderr.write(`${name}: ${history.events?.length} events\n`)
    })
  }
} finally {
  await stack.stop()
}
process.exit(0)
