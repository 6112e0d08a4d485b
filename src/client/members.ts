import type { Client } from '@temporalio/client'
import type { TidemarkConfig } from '../config/define.js'
import { names as commands, type GroupStatus, type SliceStatus } from '../model/commands.js'
import { eachOf } from '../model/each-of.js'
import { bySlice, describePartition, type GroupName, groupWorkflowId, sliceWorkflowId } from '../model/partition.js'
import { batchQueue, type Queues } from '../model/revision.js'
import { temporalError } from '../temporal/connection.js'
import { lookAtGroup } from '../temporal/group-workflow.js'
import { lastPolls, pollLifetimeMs } from '../temporal/stranded.js'
import type { Wanted } from './find.js'
import { distinct, matches, namesIn, requireMatch } from './group-names.js'
import { described, groupPolls, groupQueues, pendingIn, waitingFor } from './group-workers.js'
import { patience } from './open-parts.js'
import { inSession, type Session } from './session.js'

/** A process that works for a group, as Temporal knows it. */
export interface GroupMember {
  /** `PID@HOST#` and some characters that tell it from another one. */
  readonly identity: string
  readonly host: string
  readonly pid: number | null
  /** Version of the config that it has, where that is the one in force or the one of this config; null where it is another one. */
  readonly version: string | null
  /** ISO time, by Temporal's clock; null where it has a batch and does not ask for more. */
  readonly askedAt: string | null
  /** Slices of which it has a batch, and the partitions in it. */
  readonly slices: readonly { readonly slice: number; readonly partitions: readonly number[] }[]
  /** Whether it waits for messages on behalf of the slices at rest. */
  readonly waits: boolean
}

export interface GroupMembers extends GroupName {
  /** Version of the config in force; null where no worker says. */
  readonly version: string | null
  readonly members: readonly GroupMember[]
}

const lanes = 16

/**
 * The workers of groups, those of the config where none is named: who is there, and who has what in hand at this moment. By what Temporal
 * knows, so a worker that has ended is among them for up to 75 s.
 *
 * @throws TidemarkError UNKNOWN_CONSUMER, UNREACHABLE
 */
export function groupMembers(config: TidemarkConfig, wanted: Wanted = {}): Promise<GroupMembers[]> {
  return inSession(config, (session) => groupMembersIn(session, wanted))
}

export async function groupMembersIn(session: Session, wanted: Wanted): Promise<GroupMembers[]> {
  const records = await (await session.database()).groups.list({})
  const own = namesIn(session.config)
  const known = distinct([...own, ...(wanted.group === undefined && wanted.stream === undefined ? [] : records)])
  requireMatch(wanted, known)
  const client = await session.temporal()
  const asked = known.filter((name) => matches(wanted, name))
  try {
    return await Promise.all(
      asked.map((name) => {
        const record = records.find((one) => matches(name, one))
        const slices = record ? bySlice(record.partitions, record.slices) : new Map<number, number[]>()
        return membersOf(session, client, name, slices)
      }),
    )
  } catch (error) {
    throw temporalError(error, session.config.temporal)
  }
}

/** What a worker has in hand of one workflow. */
interface Held {
  readonly identity: string
  readonly slice: number | null
  readonly partitions: readonly number[]
}

async function membersOf(
  { config }: Session,
  client: Client,
  name: GroupName,
  slices: ReadonlyMap<number, readonly number[]>,
): Promise<GroupMembers> {
  const workflow = await lookAtGroup(client, name)
  const queues = await groupQueues(config, name, workflow)
  const version = workflow?.state === 'running' ? await versionOf(client, name) : null
  const ownVersion = config.consumers.find(({ settings }) => matches(name, settings))?.version
  const [polls, versions, waiting, held] = await Promise.all([
    groupPolls(client, queues),
    versionsOf(client, queues, [version, ownVersion]),
    waitingFor(client, name),
    eachOf([...slices], lanes, ([slice, partitions]) => heldIn(client, name, slice, partitions)),
  ])
  // Temporal remembers workers that are gone for some minutes. Clocks differ.
  const since = Math.max(Date.now(), ...polls.values()) - pollLifetimeMs
  const there = [...polls].filter(([, at]) => at > since).map(([identity]) => identity)
  const all = held.flat()
  const identities = [...new Set([...there, ...waiting, ...all.map(({ identity }) => identity)])].sort()
  const members = identities.map((identity) => ({
    identity,
    ...placeIn(identity),
    version: versions.get(identity) ?? null,
    askedAt: polls.has(identity) ? new Date(polls.get(identity)!).toISOString() : null,
    slices: slicesOf(all.filter((one) => one.identity === identity)),
    waits: waiting.includes(identity),
  }))
  return { ...name, version, members }
}

/** `4321@host#a1b2c3`; people may give their workers other names. */
export function placeIn(identity: string): { readonly host: string; readonly pid: number | null } {
  const [, pid, host] = /^(\d+)@(.*?)(?:#[0-9a-f]+)?$/.exec(identity) ?? []
  return { host: host ?? identity, pid: pid === undefined ? null : Number(pid) }
}

function slicesOf(held: readonly Held[]): GroupMember['slices'] {
  const found = new Map<number, number[]>()
  for (const { slice, partitions } of held)
    if (slice !== null) found.set(slice, [...(found.get(slice) ?? []), ...partitions])
  return [...found]
    .map(([slice, partitions]) => ({ slice, partitions: [...new Set(partitions)].sort((a, b) => a - b) }))
    .sort((a, b) => a.slice - b.slice)
}

async function versionOf(client: Client, { group, stream }: GroupName): Promise<string | null> {
  const handle = client.workflow.getHandle(groupWorkflowId(group, stream))
  const status = await answerOf(client, () => handle.query<GroupStatus | null>(commands.status))
  return status?.revision.version ?? null
}

/** Workers ask for the batches of their own version. */
async function versionsOf(
  client: Client,
  queues: readonly Queues[],
  versions: readonly (string | null | undefined)[],
): Promise<ReadonlyMap<string, string>> {
  const asked = [...new Set(versions)].flatMap((version) =>
    version == null ? [] : queues.map((one) => [version, batchQueue(one, version)] as const),
  )
  const found = await Promise.all(
    asked.map(async ([version, queue]) =>
      [...(await lastPolls(client, queue)).keys()].map((identity) => [identity, version] as const),
    ),
  )
  return new Map(found.flat())
}

async function heldIn(
  client: Client,
  name: GroupName,
  slice: number,
  partitions: readonly number[],
): Promise<readonly Held[]> {
  const workflowId = sliceWorkflowId(name, slice)
  const batches = pendingIn(await described(client, workflowId), 'process')
  if (batches.length === 0) return []
  const handle = client.workflow.getHandle(workflowId)
  const status = await answerOf(client, () => handle.query<SliceStatus>(commands.status))
  const apart = new Map(partitions.map((partition) => [describePartition({ ...name, partition }), partition]))
  return batches.map(({ identity, id }) => {
    // A batch apart has its partition's name in its ID; the others share what is not apart.
    const own = apart.get(id.slice(0, id.indexOf(' ')))
    const together = status?.partitions.filter(({ place }) => place === 'slice').map(({ partition }) => partition)
    return { identity, slice, partitions: own === undefined ? (together ?? partitions) : [own] }
  })
}

/** Null where no worker answers soon. */
async function answerOf<T>(client: Client, ask: () => Promise<T>): Promise<T | null> {
  return client.withDeadline(Date.now() + patience, ask).catch(() => null)
}
