import type { Client } from '@temporalio/client'
import { startAgain } from '../client/groups.js'
import { recordStop } from '../client/stopped.js'
import type { ParsedConsumer } from '../config/parse.js'
import type { TemporalSettings } from '../config/temporal.js'
import { messageOf } from '../model/errors.js'
import { type GroupName, groupWorkflowId } from '../model/partition.js'
import { pauseFor } from '../model/pause.js'
import { queuesOf } from '../model/revision.js'
import type { GroupRecord, GroupRecords, Log } from '../ports/index.js'
import { stopText } from '../ports/stop-text.js'
import { Outage } from '../reading/outage.js'
import { temporalError } from '../temporal/connection.js'
import { workflowGeneration } from '../temporal/generation.js'
import { type GroupWorkflow, lookAtGroup } from '../temporal/group-workflow.js'
import type { StrandedWorkflows } from '../temporal/stranded.js'

/** When a worker looks at its groups for the first time, and how often after that, ms. */
const firstLook = 2_000
const lookEvery = 20_000
/** How long Temporal may take to answer one look, ms. */
const patience = 5_000
/** Waiting times before a group that keeps failing is started again, ms: the first, doubled each time, and the longest. */
const firstPause = 60_000
const longestPause = 32 * 60_000
/** After running this long, a group counts as healthy again, ms. */
const inOrderAfter = 10 * 60_000

/** What a watchdog sees and does. */
export interface Surroundings {
  look(name: GroupName): Promise<GroupWorkflow | null>
  readonly records: Pick<GroupRecords, 'read'>
  /** Writes down that a person has ended the group's workflow. */
  stop(name: GroupName, workflow: GroupWorkflow): Promise<GroupRecord>
  /** Returns false where another worker was first. */
  start(consumer: ParsedConsumer): Promise<boolean>
  /** Ends a workflow that no worker can go on with. Returns whether it did. */
  endStranded(name: GroupName, workflow: GroupWorkflow): Promise<boolean>
  readonly log: Log
}

/** What a watchdog remembers of one group. */
interface Watched {
  readonly consumer: ParsedConsumer
  readonly name: GroupName
  /** Seen running, and not seen to finish since. */
  watched: boolean
  /** First run of the workflow that a person has ended. */
  stopped: string | null
  /** The run that has failed, or `missing`; null while none has since the last start. */
  failure: string | null
  failures: number
  failedAt: number
  runningSince: number | null
}

/**
 * A worker that runs keeps its groups running. It looks at their workflows now and then:
 *
 *   the workflow                        what happens
 *   runs                                the group is watched from now on
 *   runs for another build of Tidemark  while that build has workers, as above; else it is ended, and started again for this build
 *   runs, and can't be replayed         it is ended, and started again: Temporal was restored under workers that remembered more
 *   is gone, or has failed              it is started again at once; if it keeps failing, after 1, 2, 4 ... minutes
 *   was terminated or cancelled         the stop is written down, and the group stays stopped until a person resumes it
 *   has finished a bounded run          the group is not watched any more
 *
 * Which groups: a watchdog never starts a group that it has not seen running. So a worker without `startGroups` starts nothing by
 * itself; and a group that runs, whichever process has started it, is watched by all workers that have it in their config. The first
 * one to notice starts the group with its own config.
 */
export class Watchdog {
  readonly #groups: readonly Watched[]
  /** Of Temporal, or of the store's database: while it lasts, nobody else may notice. */
  readonly #outage: Outage

  constructor(
    consumers: readonly ParsedConsumer[],
    private readonly around: Surroundings,
  ) {
    const note = 'Batches that are open go on; what waits for its next batch, and commands, wait until Temporal answers'
    this.#outage = new Outage(around.log, {}, "looking after this worker's groups", { note })
    this.#groups = consumers.map((consumer) => ({
      consumer,
      name: { group: consumer.settings.group, stream: consumer.settings.stream },
      watched: false,
      stopped: null,
      failure: null,
      failures: 0,
      failedAt: 0,
      runningSince: null,
    }))
  }

  /** Looks again and again until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    for (let pause = firstLook; ; pause = lookEvery) {
      await pauseFor(pause, signal)
      if (signal.aborted) return
      await this.look(signal)
    }
  }

  /**
   * Looks at every group once. Never rejects: what can't be asked now is asked at the next look.
   *
   * @param signal ends the questions with the worker, which is no outage
   */
  async look(signal?: AbortSignal): Promise<void> {
    const looks = await Promise.allSettled(this.#groups.map((one) => this.#look(one)))
    const failed = looks.find((look) => look.status === 'rejected')
    if (!failed) this.#outage.worked()
    else if (!signal?.aborted) this.#outage.failed(failed.reason)
  }

  async #look(one: Watched): Promise<void> {
    const workflow = await this.around.look(one.name)
    if (workflow?.state === 'running') return this.#runs(one, workflow)
    one.runningSince = null
    if (workflow?.state === 'finished') one.watched = false
    if (!one.watched) return
    const record = await this.around.records.read(one.name)
    if (record?.stopped) return this.#staysStopped(one, workflow, record)
    const ended = workflow?.state === 'terminated' || workflow?.state === 'cancelled'
    // A stop that was written down and is not there any more was ended by a person, who wants the group to run.
    if (ended && one.stopped !== workflow.firstRunId)
      return this.#staysStopped(one, workflow, await this.around.stop(one.name, workflow))
    await this.#startAgain(one, workflow)
  }

  async #runs(one: Watched, workflow: GroupWorkflow): Promise<void> {
    if (await this.around.endStranded(one.name, workflow)) return this.#takeOver(one)
    if (!one.watched) this.around.log.debug(one.name, 'the group runs, and is kept running from now on')
    one.watched = true
    one.stopped = null
    one.failure = null
    one.runningSince ??= performance.now()
    if (performance.now() - one.runningSince >= inOrderAfter) one.failures = 0
  }

  /** Not a failure: nothing is waited for. */
  async #takeOver({ name, consumer }: Watched): Promise<void> {
    if (!(await this.around.start(consumer))) return
    const why = `group ${name.group} on ${name.stream} had no worker that could go on with its workflow`
    this.around.log.warn({ ...name, version: consumer.version }, `${why}: started again`)
  }

  #staysStopped(one: Watched, workflow: GroupWorkflow | null, record: GroupRecord): void {
    const stopped = workflow?.firstRunId ?? one.stopped ?? 'missing'
    if (one.stopped !== stopped) this.around.log.warn(one.name, stopText(record) ?? '')
    one.stopped = stopped
    one.failure = null
  }

  async #startAgain(one: Watched, workflow: GroupWorkflow | null): Promise<void> {
    const failure = workflow?.runId ?? 'missing'
    if (one.failure !== failure) {
      one.failure = failure
      one.failedAt = performance.now()
      one.failures++
    }
    if (performance.now() - one.failedAt < pauseAfter(one.failures)) return
    // The next look counts its own failure.
    one.failure = null
    const { name, consumer } = one
    const why = `group ${name.group} on ${name.stream} did not run any more (${workflow?.why ?? 'its workflow is not in Temporal'})`
    try {
      if (await this.around.start(consumer))
        this.around.log.warn({ ...name, version: consumer.version }, `${why}: started again`)
    } catch (error) {
      this.around.log.warn({ ...name, error: messageOf(error) }, `${why}, and could not be started again yet`)
    }
  }
}

function pauseAfter(failures: number): number {
  return failures < 2 ? 0 : Math.min(firstPause * 2 ** (failures - 2), longestPause)
}

/** A watchdog over a worker's groups. The signal ends its questions to Temporal, too. */
export function createWatchdog(
  consumers: readonly ParsedConsumer[],
  parts: {
    readonly client: Client
    readonly temporal: TemporalSettings
    /** The config's `taskQueue`. */
    readonly deployment: string
    readonly records: GroupRecords
    readonly log: Log
    readonly signal: AbortSignal
    readonly stranded: StrandedWorkflows
  },
): Watchdog {
  const { client, temporal, deployment, records, log, signal, stranded } = parts
  const ask = <T>(question: () => Promise<T>) =>
    client.withAbortSignal(signal, () => client.withDeadline(Date.now() + patience, question))
  return new Watchdog(consumers, {
    records,
    log,
    look: (name) =>
      ask(() => lookAtGroup(client, name)).catch((error) => {
        throw temporalError(error, temporal)
      }),
    stop: (name, workflow) => ask(() => recordStop(client, records, name, workflow)),
    start: (consumer) => ask(() => startAgain(client, deployment, consumer)),
    endStranded: async (name) => {
      const { workflows } = queuesOf(deployment, await workflowGeneration(), name)
      return ask(() => stranded.end(groupWorkflowId(name.group, name.stream), workflows))
    },
  })
}
