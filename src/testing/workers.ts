import type { Client } from '@temporalio/client'
import { Worker } from '@temporalio/worker'
import { startIn } from '../client/groups.js'
import { Session } from '../client/session.js'
import type { ParsedConfig } from '../config/parse.js'
import { queuesOf } from '../model/revision.js'
import type { Log } from '../ports/index.js'
import { workflowGeneration } from '../temporal/generation.js'
import { assembleWorker } from '../worker/assemble.js'
import { workflowBundle } from '../worker/bundle.js'
import type { TidemarkWorker } from '../worker/worker.js'
import type { Life } from './life.js'
import type { TestServer } from './server.js'
import type { Work } from './work.js'

/** How long a worker that is to end may take for the chunks in hand before it is killed, ms. */
const lastChunksMayTake = 2_000

/** A worker of the kit while it lives. */
export interface RunningWorker {
  readonly worker: TidemarkWorker
  /** Finishes the chunks in hand first. */
  stop(): Promise<void>
  /** Ends it in the middle of them. */
  kill(): Promise<void>
}

/** Works the workflows of all lives of a kit's worker: they are the same code, and a worker that was killed would be missed first. */
export async function runWorkflows(
  { connection }: TestServer,
  namespace: string,
  { taskQueue, consumers }: ParsedConfig,
): Promise<() => Promise<void>> {
  const { workflows } = queuesOf(taskQueue, await workflowGeneration(), consumers[0]!.settings)
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue: workflows,
    workflowBundle: await workflowBundle(),
    // Runs them in this thread: threads of their own take half a second to start.
    debugMode: true,
  })
  const running = worker.run()
  running.catch(() => {})
  return async () => {
    worker.shutdown()
    await running
  }
}

/** Starts a worker and its groups, as `tidemark start` does. */
export async function runWorker(
  server: TestServer,
  namespace: string,
  config: ParsedConfig,
  { life, work, log }: { readonly life: Life; readonly work: Work; readonly log: Log },
): Promise<RunningWorker> {
  const client = server.client(namespace, {
    workflow: [
      {
        signal: async (input, next) => {
          life.require()
          return next(input)
        },
      },
    ],
  })
  const { connection } = server
  const around = <A extends object>(activities: A) => work.around(life, activities)
  const worker = await assembleWorker(config, { log }, { connection, client, alone: true, around })
  const running = worker.run()
  running.catch(() => {})
  const stop = async () => {
    worker.shutdown()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, lastChunksMayTake)
    })
    await Promise.race([running, late]).finally(() => clearTimeout(timer))
    life.kill()
    await running
  }
  const kill = async () => {
    life.kill()
    worker.shutdown()
    await running
  }
  try {
    await startGroups(config, client, worker)
  } catch (error) {
    await kill().catch(() => {})
    throw error
  }
  return { worker, stop, kill }
}

async function startGroups(config: ParsedConfig, client: Client, { consumers }: TidemarkWorker): Promise<void> {
  const session = new Session(config)
  try {
    await startIn(session, { client, consumers, resumeStopped: true })
  } finally {
    await session.close()
  }
}
