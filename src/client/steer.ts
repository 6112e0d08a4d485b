import type { ParsedConsumer } from '../config/parse.js'
import type { PauseCommand, ResumeCommand } from '../model/commands.js'
import { TidemarkError, UnknownName } from '../model/errors.js'
import { type GroupName, partitionsNamed, ranges } from '../model/partition.js'
import type { Decision, GroupRecord } from '../ports/index.js'
import { neverStarted } from '../temporal/answers.js'
import { lookAtGroup } from '../temporal/group-workflow.js'
import { pauseGroup, resumeGroup } from './commands.js'
import { startIn } from './groups.js'
import { operatorName } from './operator.js'
import type { Session } from './session.js'
import { describeStop, stopInForce } from './stopped.js'

/*
 * Pausing and resuming a group in whatever state it is:
 *
 *   its workflow   pause                    resume
 *   runs           asks the workflow        asks the workflow
 *   was stopped    in the record            ends the stop and starts the group; pauses stay
 *   has finished   UNKNOWN_CONSUMER         in the record
 *   does not run   in the record            in the record
 *   never ran      UNKNOWN_CONSUMER         UNKNOWN_CONSUMER
 *
 * A workflow that runs needs a worker to answer; the record needs only the store's database.
 */

/** What a command has done. */
export interface Steered extends GroupName {
  /** The partitions that the command was about. */
  readonly partitions: readonly number[]
  /** Whether one of them is paused now. */
  readonly paused: boolean
  /** Whether a stopped group was started again. */
  readonly restarted: boolean
  /** What is worth saying besides; empty as a rule. */
  readonly remark: string
}

const quiet = { restarted: false, remark: '' }

/** Pauses a group, or some of its partitions. Throws as `pauseGroup`. */
export async function pauseIn(session: Session, consumer: ParsedConsumer, command: PauseCommand): Promise<Steered> {
  const name = nameOf(consumer)
  const client = await session.temporal()
  const workflow = await lookAtGroup(client, name)
  if (workflow?.state === 'running') {
    const { partitions } = await pauseGroup(client, name, command)
    return { ...name, partitions: command.partitions ?? partitions, paused: true, ...quiet }
  }
  if (workflow?.state === 'finished')
    throw new TidemarkError(
      'UNKNOWN_CONSUMER',
      `group ${name.group} on ${name.stream} has finished: there is nothing to pause`,
      {
        place: name,
      },
    )
  const { groups } = await session.database()
  const record = required(name, await groups.read(name))
  refuseUnknown(record, command.partitions)
  await groups.pause(name, { ...decisionOf(command), ...partitionsOf(command) })
  const stop = stopInForce(record, workflow)
  const why = stop ? `it was ${describeStop(stop)}` : (workflow?.why ?? 'it has no workflow')
  return {
    ...name,
    partitions: command.partitions ?? record.partitions,
    paused: true,
    restarted: false,
    remark: `the group does not run (${why}), and the pause holds when it is started`,
  }
}

/**
 * Lets partitions continue, and starts a group again that a person has stopped in Temporal.
 *
 * @throws as `resumeGroup`; CONFIG_INVALID for single partitions of a stopped group
 */
export async function resumeIn(session: Session, consumer: ParsedConsumer, command: ResumeCommand): Promise<Steered> {
  const name = nameOf(consumer)
  const client = await session.temporal()
  const workflow = await lookAtGroup(client, name)
  if (workflow?.state === 'running') {
    const { partitions, pauses } = await resumeGroup(client, name, command)
    const about = command.partitions ?? partitions
    const paused = pauses.group !== null || pauses.partitions.some(({ partition }) => about.includes(partition))
    return { ...name, partitions: about, paused, ...quiet }
  }
  const { groups } = await session.database()
  const record = required(name, await groups.read(name))
  refuseUnknown(record, command.partitions)
  const stop = stopInForce(record, workflow)
  if (!stop) {
    refuseUnderPause(record, command.partitions)
    const after = await groups.unpause(name, { ...decisionOf(command), ...partitionsOf(command) })
    const about = command.partitions ?? after.partitions
    const remark = `the group does not run (${workflow?.why ?? 'it has no workflow'}): 'tidemark start' starts it`
    return { ...name, partitions: about, paused: isPaused(after, about), restarted: false, remark }
  }
  if (command.partitions)
    throw new TidemarkError(
      'CONFIG_INVALID',
      `the whole group ${name.group} on ${name.stream} is stopped, it was ${describeStop(stop)}: resume the group without --partition`,
      { place: name },
    )
  const why = command.reason ?? ''
  await startIn(session, { client, only: [name], resumeStopped: true, ...(why ? { why } : {}) })
  const paused = isPaused(record, record.partitions)
  return {
    ...name,
    partitions: record.partitions,
    paused,
    restarted: true,
    remark:
      `started again; it was ${describeStop(stop)}` +
      (paused ? `. ${pausesOf(record)}: resume it once more to end that` : ''),
  }
}

function nameOf({ settings: { group, stream } }: ParsedConsumer): GroupName {
  return { group, stream }
}

function decisionOf({ by, reason = '' }: PauseCommand | ResumeCommand): Decision {
  return { by: by ?? operatorName(), why: reason }
}

function partitionsOf({ partitions }: ResumeCommand): { partitions?: readonly number[] } {
  return partitions ? { partitions } : {}
}

function required(name: GroupName, record: GroupRecord | null): GroupRecord {
  if (record) return record
  throw neverStarted(name)
}

function refuseUnknown({ group, stream, partitions: known }: GroupRecord, wanted: readonly number[] = []): void {
  const stranger = wanted.find((partition) => !known.includes(partition))
  if (stranger === undefined) return
  const there = `this group has ${known.length > 0 ? ranges(known) : 'none yet'}`
  throw new UnknownName(`${stream} has no partition ${stranger}; ${there}`, { group, stream, partition: stranger })
}

function refuseUnderPause({ group, stream, paused }: GroupRecord, wanted: readonly number[] | undefined): void {
  if (!wanted || !paused.group) return
  const { why, by, at } = paused.group
  throw new TidemarkError(
    'CONFIG_INVALID',
    `the whole group ${group} on ${stream} is paused (${why}, by ${by} at ${at.toISOString()}): ` +
      'resume the group, and then pause the partitions that are to stay paused',
    { place: { group, stream } },
  )
}

function isPaused({ paused }: GroupRecord, partitions: readonly number[]): boolean {
  return paused.group !== null || partitions.some((partition) => paused.partitions.has(partition))
}

function pausesOf({ paused }: GroupRecord): string {
  if (paused.group) return `It stays paused (${paused.group.why}, by ${paused.group.by})`
  const partitions = [...paused.partitions.keys()]
  return `${partitionsNamed(partitions, 'Partition')} ${partitions.length === 1 ? 'stays' : 'stay'} paused`
}
