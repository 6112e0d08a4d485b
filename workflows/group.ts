import {
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  CancelledFailure,
  condition,
  defineQuery,
  defineSignal,
  defineUpdate,
  isCancellation,
  makeContinueAsNewFunc,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow'
import type { NoteInput, PollResult } from '../src/model/batch.js'
import {
  type FallbackCommand,
  type GroupInput,
  type GroupStatus,
  names,
  type PauseCommand,
  type ReopenCommand,
  type ResumeCommand,
} from '../src/model/commands.js'
import { bySlice, sliceOf } from '../src/model/partition.js'
import type { Revision } from '../src/model/revision.js'
import { control, presence, waiting } from './activities.js'
import { now } from './clock.js'
import { Fleet } from './group/fleet.js'
import { Membership, stateOf } from './group/membership.js'
import { Reslicing, resliceUpdate } from './group/reslicing.js'
import { showGroup } from './search-attributes.js'
import {
  configureSignal,
  fallbackSignal,
  pauseSignal,
  reopenSignal,
  reportSignal,
  resumeSignal,
} from './slice/slice-state.js'

const pauseUpdate = defineUpdate<GroupStatus, [PauseCommand]>(names.pause)
const resumeUpdate = defineUpdate<GroupStatus, [ResumeCommand]>(names.resume)
const statusQuery = defineQuery<GroupStatus | null>(names.status)
const reopenGroup = defineSignal<[ReopenCommand]>(names.reopen)
const fallbackGroup = defineSignal<[FallbackCommand]>(names.fallback)
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
 * A revision for the workers of another build is not worked here: the group and its slices continue as new on those workers' task queue.
 *
 * What must outlive Temporal (pauses, the number of slices, the known partitions, that a person has stopped the group) is in the store's
 * database; `enroll` reads it and `note` writes it.
 */
export async function consumerGroup(input: GroupInput): Promise<GroupStatus> {
  const name = { group: input.group, stream: input.stream }
  let { revision } = input
  /** In force, and for the workers of another build: this workflow continues on their task queue. */
  let successor: Revision | undefined
  // Signals of the run before may come first.
  let members = input.record && new Membership(input, input.record)
  /** Decisions of people that were written down. */
  let decisions = 0
  let deciding = false
  /** Waits for a worker with the config in force, where none is there. */
  let absence: CancellationScope | undefined
  /** The loop is over: no slice is started any more. */
  let quiet = false
  const reslicing = new Reslicing()
  const cancelled = () => CancellationScope.current().consideredCancelled

  // A worker has started. Its settings win, since it is the newest; partitions that were stopped by an error try again.
  setHandler(configureGroup, async (newest) => {
    successor = newest.queues.workflows === revision.queues.workflows ? undefined : newest
    // Another build's workers don't know what this workflow would ask of them.
    if (!successor) revision = newest
    if (!members) return
    members.configure(newest)
    await told(configureSignal, () => [newest])
  })
  setHandler(fallbackGroup, fallBack)
  setHandler(statusQuery, () => members?.status() ?? null)
  setHandler(reportSignal, async (report) => {
    await enrolled()
    members!.hear(report)
  })
  setHandler(reopenGroup, async ({ partitions }) => {
    await enrolled()
    await fleet().tell(partitions, reopenSignal, (theirs) => [{ partitions: theirs }])
  })
  setHandler(
    pauseUpdate,
    async ({ partitions, reason, by = 'unknown' }) => {
      await decide({ what: 'paused', by, reason, ...(partitions ? { partitions } : {}) }, () => {
        const pause = { by, reason, since: now() }
        const which = partitions ?? members!.partitions
        return fleet().tell(which, pauseSignal, (theirs) => [{ partitions: theirs, note: pause }])
      })
      return members!.status()
    },
    { validator: (command) => members?.refuseUnknown(command) },
  )
  setHandler(
    resumeUpdate,
    async ({ partitions, reason = '', by = 'unknown' }) => {
      await decide({ what: 'resumed', by, reason, ...(partitions ? { partitions } : {}) }, () =>
        fleet().tell(partitions ?? members!.partitions, resumeSignal, (theirs) => [{ partitions: theirs }]),
      )
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
    if (!members) await enroll()
    const inForce = successor ?? revision
    if (members!.revision !== inForce) members!.configure(inForce)
    // Their signal came before the slices were known.
    if (successor) await told(configureSignal, () => [inForce])
    let polling: Polling | undefined
    const over = () =>
      workflowInfo().continueAsNewSuggested || members!.finished || successor !== undefined || reslicing.begun
    while (!over()) {
      const details = members!.details()
      setCurrentDetails(details)
      polling ??= poll()
      awaitReturn()
      await condition(() => polling!.found !== undefined || over() || members!.details() !== details)
      if (polling.found === undefined) continue
      await attend(polling.found)
      polling = undefined
    }
    polling?.scope.cancel()
    absence?.cancel()
    quiet = true
    await condition(allHandlersFinished)
    if (reslicing.begun || !members!.finished) {
      const next = successor ?? revision
      const continued = makeContinueAsNewFunc<typeof consumerGroup>({ taskQueue: next.queues.workflows })
      return await continued({ ...(reslicing.begun ? members!.anew() : members!.next()), revision: next })
    }
    setCurrentDetails(`finished: all ${members!.partitions.length} partitions of ${name.stream} are where the run ends`)
    await fleet().end(members!.partitions)
    return members!.status()
  } catch (error) {
    if (!isCancellation(error) || !cancelled()) throw error
    await CancellationScope.nonCancellable(stop)
    throw new CancelledFailure('cancelled in Temporal')
  }

  function fleet(): Fleet {
    const { slices, generation, version } = members!
    return new Fleet({ name, slices, generation, searchAttributes: input.searchAttributes, revision, version })
  }

  /** Resolves once the group knows its partitions. */
  async function enrolled(): Promise<void> {
    if (!members) await condition(() => members !== undefined)
  }

  function told(signal: typeof configureSignal, argsFor: () => [Revision]): Promise<void> {
    return fleet().tell(members!.partitions, signal, argsFor)
  }

  /** Reads the group's record and the stream's partitions, and gives the new ones to their slices. */
  async function enroll(): Promise<void> {
    const slices = revision.slices === undefined ? {} : { slices: revision.slices }
    const before = decisions
    const found = await control(revision, 'read the group record').enroll({ name, ...slices })
    members ??= new Membership({ ...input, revision }, stateOf(found))
    // A pause that was written down meanwhile is newer.
    if (decisions === before) members.pauses = found.pauses
    if (found.stopped !== null) throw ApplicationFailure.nonRetryable(found.stopped, 'STOPPED')
    const known = new Set(members.partitions)
    const fresh = found.partitions.filter((partition) => !known.has(partition))
    // Known from here on: a command, or a stop, that comes while the slices are started concerns them as well.
    members.add(fresh, found.added)
    await give(fresh)
    // Not before their slices know it: an answer may be lost on the way, and nobody would know any more that they are new.
    const { added } = found
    if (added.length > 0)
      await decide({ what: 'added', by: 'the stream', reason: '', partitions: added }, async () => {})
  }

  /**
   * Gives partitions to their slices. What is decided while slices are started does not reach those that are not there yet, so they are
   * told afterwards.
   */
  async function give(partitions: readonly number[]): Promise<void> {
    const starts = members!.starts(partitions)
    const given = revision
    await fleet().own(starts)
    const pauses = members!.pausesSince(starts)
    const resumed = members!.resumedSince(starts)
    if (revision === given && pauses.size === 0 && resumed.length === 0) return
    if (revision !== given) await fleet().tell(partitions, configureSignal, () => [revision])
    for (const [note, paused] of pauses)
      await fleet().tell(paused, pauseSignal, (theirs) => [{ partitions: theirs, note }])
    await fleet().tell(resumed, resumeSignal, (theirs) => [{ partitions: theirs }])
  }

  function fallBack(command: FallbackCommand): void {
    if (members?.fallBack(command)) void fleet().tell(members.partitions, fallbackSignal, () => [command])
  }

  /** Begins to wait for a worker with the config in force, where older ones work in its place. Its version wins again. */
  function awaitReturn(): void {
    const wanted = revision.version
    if (members!.version === wanted) {
      absence?.cancel()
      absence = undefined
    } else if (!absence) {
      const scope = new CancellationScope()
      absence = scope
      const presentAgain = () => {
        if (!scope.consideredCancelled) fallBack({ wanted, version: wanted })
      }
      scope
        .run(() => presence(revision, wanted))
        .then(presentAgain)
        // A person may end it in the Temporal UI.
        .catch(() => {})
        .finally(() => {
          if (absence === scope) absence = undefined
        })
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

  /** Writes a decision down, and tells the slices. One after the other: an older answer never replaces a newer one. */
  async function decide(what: Omit<NoteInput, 'name'>, tell: () => Promise<void>): Promise<void> {
    // Several may have waited for the same moment.
    while (!members || deciding) await condition(() => members !== undefined && !deciding)
    deciding = true
    try {
      members!.pauses = await control(revision, `write down: ${what.what}`).note({ name, ...what })
      decisions++
      await tell()
    } finally {
      deciding = false
    }
  }

  /** A slice that a person has ended in Temporal: its partitions stay paused, with the reason, until a person resumes them. */
  async function keepStopped(stopped: PollResult['stopped']): Promise<void> {
    for (const { slice, how } of stopped) {
      const partitions = bySlice(members!.partitions, members!.slices).get(slice) ?? []
      const reason = `slice ${slice} was ${how} in Temporal`
      await decide({ what: 'paused', by: 'Temporal', reason, partitions }, async () => {})
    }
  }

  /** A person has cancelled the group: it stays stopped until a person resumes it. */
  async function stop(): Promise<void> {
    const reason = 'its workflow was cancelled in Temporal'
    await control(revision, 'write down: stopped').note({ name, what: 'stopped', by: 'Temporal', reason })
    if (!members) {
      // Slices of an earlier run may be there, though this run has not come to know them.
      const found = await control(revision, 'read the group record').enroll({ name })
      members = new Membership({ ...input, revision }, stateOf(found))
      members.add(found.partitions, [])
    }
    // Whoever starts the next run must not meet them any more.
    await fleet().end(members.partitions)
  }
}
