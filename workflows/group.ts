import {
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow'
import type { ControlActivities, Discovery } from '../src/model/batch.js'
import {
  type GroupInput,
  type GroupStatus,
  type ModeState,
  names,
  type PauseCommand,
  type ResumeCommand,
} from '../src/model/commands.js'
import type { Revision } from '../src/model/revision.js'
import { Fleet } from './fleet.js'
import { configureSignal, finishSignal, pauseSignal, reportSignal, resumeSignal } from './state.js'
import { now, showGroup } from './visibility.js'

const pauseUpdate = defineUpdate<GroupStatus, [PauseCommand]>(names.pause)
const resumeUpdate = defineUpdate<GroupStatus, [ResumeCommand]>(names.resume)
const statusQuery = defineQuery<GroupStatus>(names.status)
const configureGroup = defineSignal<[Revision]>(names.configure)

/**
 * One consumer of one stream. It starts a workflow for each partition, watches for partitions that are added, and hands
 * commands on to them. The work itself never passes through here. It ends, with what it has become, when every partition is
 * where the consumer's `until` ends it.
 */
export async function consumerGroup(input: GroupInput): Promise<GroupStatus> {
  const { group, stream } = input
  let { revision, paused } = input
  /** Look whether every partition still runs, at the next discovery. */
  let verify = input.known.length > 0
  let interrupt = () => {}
  const known = new Set(input.known)
  const reports = new Map(input.reports.map((report) => [report.partition, report]))
  const fleet = new Fleet(group, stream, input.searchAttributes)

  const status = (): GroupStatus => ({
    group,
    stream,
    revision,
    paused,
    partitions: [...known].sort((a, b) => a - b),
    reports: [...reports.values()].sort((a, b) => a.partition - b.partition),
  })
  const finished = () =>
    revision.until !== undefined &&
    known.size > 0 &&
    [...known].every((partition) => reports.get(partition)?.mode === 'finished')
  const snapshot = (): GroupInput => {
    const { seen: _, ...rest } = input
    return { ...rest, revision, paused, known: [...known], reports: [...reports.values()] }
  }
  const startPartitions = async (partitions: readonly number[], added: readonly number[] = []) => {
    const state = paused ?? { mode: 'running' as const, reason: '', since: now() }
    await fleet.start(partitions, revision, (partition) => reports.get(partition) ?? state, added)
    for (const partition of partitions) known.add(partition)
  }
  const checked = (partitions: readonly number[] | undefined): readonly number[] => partitions ?? [...known]
  const refuseUnknown = ({ partitions = [] }: { partitions?: readonly number[] }) => {
    const stranger = partitions.find((partition) => !known.has(partition))
    if (stranger === undefined) return
    const range = known.size > 0 ? `0 to ${Math.max(...known)}` : 'none yet'
    throw ApplicationFailure.nonRetryable(
      `${stream} has no partition ${stranger}; this group has ${range}`,
      'UNKNOWN_PARTITION',
    )
  }

  setHandler(statusQuery, status)
  setHandler(reportSignal, (report) => {
    if (report.mode === 'running') reports.delete(report.partition)
    else reports.set(report.partition, report)
    if (finished()) interrupt()
  })
  // A worker has started. Its settings win, since it is the newest; partitions that were stopped by an error try again.
  setHandler(configureGroup, async (newest) => {
    const changed = newest.version !== revision.version
    revision = newest
    verify = known.size > 0
    interrupt()
    const whom = changed
      ? [...known]
      : [...reports.values()].filter((r) => r.mode === 'blocked').map((r) => r.partition)
    await fleet.tell(whom, configureSignal, [newest])
  })
  setHandler(
    pauseUpdate,
    async (command) => {
      const state: ModeState = { mode: 'paused', reason: command.reason, since: now() }
      if (!command.partitions) paused = state
      for (const partition of checked(command.partitions)) reports.set(partition, { partition, ...state })
      await fleet.tell(checked(command.partitions), pauseSignal, [command])
      return status()
    },
    { validator: refuseUnknown },
  )
  setHandler(
    resumeUpdate,
    async (command) => {
      if (!command.partitions) paused = null
      for (const partition of checked(command.partitions)) reports.delete(partition)
      await fleet.tell(checked(command.partitions), resumeSignal, [])
      return status()
    },
    { validator: refuseUnknown },
  )

  if (input.searchAttributes && !workflowInfo().continuedFromExecutionRunId) showGroup(group, stream)
  await startPartitions(input.seen ?? [])
  const cancelled = () => CancellationScope.current().consideredCancelled
  while (!workflowInfo().continueAsNewSuggested && !finished()) {
    if (cancelled()) throw new CancelledFailure('cancelled in Temporal')
    setCurrentDetails(
      `${known.size} partitions of ${stream}, config ${revision.version} from ${revision.startedAt} by ${revision.startedBy}`,
    )
    const verifying = verify
    const found = await interruptible(() => discover(revision, [...known], verifying))
    if (!found) continue
    // A worker may have asked for it while this answer was on its way; then it is still to be done.
    if (verifying) verify = false
    const fresh = found.partitions.filter((partition) => !known.has(partition))
    await startPartitions([...fresh, ...found.missing], known.size > 0 ? fresh : [])
  }
  await condition(allHandlersFinished)
  if (!finished()) return continueAsNew<typeof consumerGroup>(snapshot())
  setCurrentDetails(`finished: all ${known.size} partitions of ${stream} are where the run ends`)
  await release()
  return status()

  /** Ends the partitions' workflows. Whoever starts the next run must not meet them any more. */
  async function release(): Promise<void> {
    await fleet.tell([...known], finishSignal, [])
    for (let left = [...known]; left.length > 0; await sleep(100)) {
      const { missing } = await discover(revision, left, true)
      left = left.filter((partition) => !missing.includes(partition))
      if (left.length === 0) break
    }
  }

  async function interruptible(work: () => Promise<Discovery>): Promise<Discovery | undefined> {
    const scope = new CancellationScope()
    interrupt = () => scope.cancel()
    try {
      return await scope.run(work)
    } catch (error) {
      if (isCancellation(error)) return undefined
      throw error
    } finally {
      interrupt = () => {}
    }
  }
}

/** Returns when the stream has partitions that are not known, when one of the known ones does not run, or after a while. */
function discover(revision: Revision, known: number[], verify: boolean): Promise<Discovery> {
  const { discover } = proxyActivities<ControlActivities>({
    taskQueue: revision.queues.control,
    summary: 'watch for partitions',
    startToCloseTimeout: '1 hour',
    heartbeatTimeout: revision.timing.heartbeatTimeoutMs,
    retry: { initialInterval: '200 ms', maximumInterval: '10 seconds' },
  })
  return discover({ known, verify })
}
