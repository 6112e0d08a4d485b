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
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow'
import type { NoteInput, PollResult } from '../src/model/batch.js'
import {
  type GroupInput,
  type GroupStatus,
  names,
  type PauseCommand,
  type ReopenCommand,
  type ResumeCommand,
} from '../src/model/commands.js'
import { bySlice, sliceOf } from '../src/model/partition.js'
import type { Revision } from '../src/model/revision.js'
import { control, waiting } from './activities.js'
import { now } from './clock.js'
import { Fleet } from './fleet.js'
import { Membership, stateOf } from './group-state.js'
import { Reslicing, resliceUpdate } from './reslicing.js'
import { showGroup } from './search-attributes.js'
import { configureSignal, pauseSignal, reopenSignal, reportSignal, resumeSignal } from './slice-state.js'

const pauseUpdate = defineUpdate<GroupStatus, [PauseCommand]>(names.pause)
const resumeUpdate = defineUpdate<GroupStatus, [ResumeCommand]>(names.resume)
const statusQuery = defineQuery<GroupStatus | null>(names.status)
const reopenGroup = defineSignal<[ReopenCommand]>(names.reopen)
const configureGroup = defineSignal<[Revision]>(names.configure)

interface Polling {
  readonly scope: CancellationScope
  found: PollResult | undefined
}

const nothingFound: PollResult = { added: [], missing: [], stopped: [] }

/**
 * One consumer of one stream. It gives the stream's partitions to slice workflows, waits for messages on behalf of all slices that are
 * at rest, watches for partitions that are added, and hands commands on. The work itself never passes through here. It ends,
 * with what it has become, when every partition is where the consumer's `until` ends it.
 *
 * What must outlive Temporal (pauses, the number of slices, the known partitions, that a person has stopped the group) is in the store's
 * database; `enroll` reads it and `note` writes it.
 */
export async function consumerGroup(input: GroupInput): Promise<GroupStatus> {
  const name = { group: input.group, stream: input.stream }
  let { revision } = input
  let members: Membership | undefined
  /** How many times partitions are being given to slices at the moment. */
  let giving = 0
  /** The loop is over: no slice is started any more. */
  let quiet = false
  const reslicing = new Reslicing()
  const cancelled = () => CancellationScope.current().consideredCancelled

  // A worker has started. Its settings win, since it is the newest; partitions that were stopped by an error try again.
  setHandler(configureGroup, (newest) => {
    revision = newest
    if (!members) return
    members.revision = newest
    void told(configureSignal, () => [newest])
  })
  setHandler(statusQuery, () => members?.status() ?? null)
  setHandler(reportSignal, (report) => members?.hear(report))
  setHandler(reopenGroup, ({ partitions }) => {
    void fleet().tell(partitions, reopenSignal, (theirs) => [{ partitions: theirs }])
  })
  setHandler(
    pauseUpdate,
    async ({ partitions, reason, by = 'unknown' }) => {
      await note({ what: 'paused', by, reason, ...(partitions ? { partitions } : {}) })
      const pause = { by, reason, since: now() }
      await fleet().tell(partitions ?? members!.partitions, pauseSignal, (theirs) => [
        { partitions: theirs, note: pause },
      ])
      return members!.status()
    },
    { validator: (command) => members?.refuseUnknown(command) },
  )
  setHandler(
    resumeUpdate,
    async ({ partitions, reason = '', by = 'unknown' }) => {
      await note({ what: 'resumed', by, reason, ...(partitions ? { partitions } : {}) })
      await fleet().tell(partitions ?? members!.partitions, resumeSignal, (theirs) => [{ partitions: theirs }])
      return members!.status()
    },
    {
      validator: (command) => {
        members?.refuseUnknown(command)
        members?.refuseUnderPause(command)
      },
    },
  )

  setHandler(resliceUpdate, async (command) => {
    await condition(() => members !== undefined)
    return reslicing.ask(command, { name, members: members!, fleet: fleet(), quiet: () => quiet })
  })

  try {
    if (input.searchAttributes && !workflowInfo().continuedFromExecutionRunId) showGroup(name)
    if (input.record) members = new Membership(input, input.record)
    else await enroll()
    members!.revision = revision
    let polling: Polling | undefined
    const over = () => workflowInfo().continueAsNewSuggested || members!.finished || reslicing.begun
    while (!over()) {
      const details = members!.details()
      setCurrentDetails(details)
      polling ??= poll()
      await condition(() => polling!.found !== undefined || over() || members!.details() !== details)
      if (polling.found === undefined) continue
      await attend(polling.found)
      polling = undefined
    }
    polling?.scope.cancel()
    quiet = true
    await condition(allHandlersFinished)
    if (reslicing.begun) return await continueAsNew<typeof consumerGroup>(members!.anew())
    if (!members!.finished) return await continueAsNew<typeof consumerGroup>(members!.next())
    setCurrentDetails(`finished: all ${members!.partitions.length} partitions of ${name.stream} are where the run ends`)
    await fleet().end(members!.partitions, revision)
    return members!.status()
  } catch (error) {
    if (!isCancellation(error) || !cancelled()) throw error
    await CancellationScope.nonCancellable(stop)
    throw new CancelledFailure('cancelled in Temporal')
  }

  function fleet(): Fleet {
    const { slices, generation } = members!
    return new Fleet({ name, slices, generation, searchAttributes: input.searchAttributes })
  }

  function told(signal: typeof configureSignal, argsFor: () => [Revision]): Promise<void> {
    return fleet().tell(members!.partitions, signal, argsFor)
  }

  /** Reads the group's record and the stream's partitions, and gives the new ones to their slices. */
  async function enroll(): Promise<void> {
    const slices = revision.slices === undefined ? {} : { slices: revision.slices }
    const enrolled = await control(revision, 'read the group record').enroll({ name, ...slices })
    members ??= new Membership({ ...input, revision }, stateOf(enrolled))
    members.pauses = enrolled.pauses
    if (enrolled.stopped !== null) throw ApplicationFailure.nonRetryable(enrolled.stopped, 'STOPPED')
    const known = new Set(members.partitions)
    const fresh = enrolled.partitions.filter((partition) => !known.has(partition))
    // Known from here on: a command, or a stop, that comes while the slices are started concerns them as well.
    members.add(fresh, enrolled.added)
    await give(fresh)
  }

  /** Gives partitions to their slices. Commands wait meanwhile: a slice that is being started does not hear them yet. */
  async function give(partitions: readonly number[]): Promise<void> {
    giving++
    try {
      await fleet().own(members!.starts(partitions), revision)
    } finally {
      giving--
    }
  }

  /** Begins to wait for something to do. */
  function poll(): Polling {
    const { partitions, slices } = members!
    const polling: Polling = { scope: new CancellationScope(), found: undefined }
    const { poll } = waiting(revision, 'wait for messages, and for partitions')
    polling.scope
      .run(() => poll({ name, partitions, slices }))
      .catch((error) => {
        if (polling.scope.consideredCancelled) throw error
        // It retries without end by itself. A person may have ended it in the Temporal UI.
        return nothingFound
      })
      .then((found) => {
        polling.found = found
      })
      .catch(() => {})
    return polling
  }

  async function attend({ added, missing, stopped }: PollResult): Promise<void> {
    if (added.length > 0) await enroll()
    await keepStopped(stopped)
    const restart = [...missing, ...stopped.map(({ slice }) => slice)]
    const theirs = members!.partitions.filter((one) => restart.includes(sliceOf(one, members!.slices)))
    await give(theirs)
  }

  async function note(what: Omit<NoteInput, 'name'>): Promise<void> {
    await condition(() => members !== undefined && giving === 0)
    members!.pauses = await control(revision, `write down: ${what.what}`).note({ name, ...what })
  }

  /** A slice that a person has ended in Temporal: its partitions stay paused, with the reason, until a person resumes them. */
  async function keepStopped(stopped: PollResult['stopped']): Promise<void> {
    for (const { slice, how } of stopped) {
      const partitions = bySlice(members!.partitions, members!.slices).get(slice) ?? []
      const reason = `slice ${slice} was ${how} in Temporal`
      await note({ what: 'paused', by: 'Temporal', reason, partitions })
    }
  }

  /** A person has cancelled the group: it stays stopped until a person resumes it. */
  async function stop(): Promise<void> {
    const reason = 'its workflow was cancelled in Temporal'
    await control(revision, 'write down: stopped').note({ name, what: 'stopped', by: 'Temporal', reason })
    if (!members) {
      // Slices of an earlier run may be there, though this run has not come to know them.
      const enrolled = await control(revision, 'read the group record').enroll({ name })
      members = new Membership({ ...input, revision }, stateOf(enrolled))
      members.add(enrolled.partitions, [])
    }
    // Whoever starts the next run must not meet them any more.
    await fleet().end(members.partitions, revision)
  }
}
