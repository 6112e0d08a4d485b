import { type Client, WorkflowNotFoundError } from '@temporalio/client'
import type { TidemarkConfig } from '../config/define.js'
import type { ParsedConsumer } from '../config/parse.js'
import { eachOf } from '../model/each-of.js'
import { messageOf, TidemarkError } from '../model/errors.js'
import { bySlice, type GroupName, groupWorkflowId, sliceWorkflowId } from '../model/partition.js'
import type { DatabaseClient, GroupRecord, OffsetMirror } from '../ports/index.js'
import { temporalError } from '../temporal/connection.js'
import { lookAtGroup } from '../temporal/group-workflow.js'
import { pollLifetimeMs, prefix } from '../temporal/stranded.js'
import { answerWithin, placeOf } from './deadline.js'
import type { Wanted } from './find.js'
import { distinct, matches, requireMatch } from './group-names.js'
import { groupPolls, groupQueues, waitingFor } from './group-workers.js'
import { patience } from './open-parts.js'
import { operatorName } from './operator.js'
import { inSession, type Session } from './session.js'
import { sourceFor } from './stored-groups.js'

/** What there is of a group on a stream. */
export interface DeletionPlan extends GroupName {
  /** Partitions with a stored offset. */
  readonly offsets: number
  /** Dead letters that wait, or are to be handled: their messages are nowhere else once the log has let them go. */
  readonly letters: number
  /** Whether the group has a record: its slices, pauses and stop. */
  readonly record: boolean
  /** Workflows that still run in Temporal, without a worker. */
  readonly workflows: readonly string[]
  /** Offsets that Tidemark shows in the log itself. */
  readonly mirrored: { readonly where: string; readonly offsets: number; readonly canDelete: boolean } | null
  /** What stays in any case, a sentence each. */
  readonly left: readonly string[]
}

export interface DeletionOptions {
  /** Also what the log itself shows of the group. Default: false. */
  readonly mirrored?: boolean
  /** Default: `user@host` of this process. */
  readonly by?: string
  /** For people who look into the history later. */
  readonly why?: string
}

const lanes = 16

/**
 * What there is to delete of a group, on each stream that it has been on. Changes nothing.
 *
 * @throws TidemarkError UNKNOWN_CONSUMER for a group of which nothing is stored; GROUP_ACTIVE while workers have it in their config;
 * CONFIG_INVALID where the store can't delete; UNREACHABLE
 */
export async function planDeletion(config: TidemarkConfig, wanted: Wanted & { readonly group: string }) {
  return inSession(config, (session) => planDeletionIn(session, wanted))
}

export async function planDeletionIn(
  session: Session,
  wanted: Wanted & { readonly group: string },
): Promise<readonly DeletionPlan[]> {
  const store = await session.store()
  const { groups } = await session.database()
  const [rows, records] = await Promise.all([store.list({}), groups.list({})])
  const names = distinct([...rows, ...records])
  requireMatch(wanted, names)
  if (!store.delete)
    throw new TidemarkError(
      'CONFIG_INVALID',
      `${placeOf(session.config.store)} can't delete offsets: those of group ${wanted.group} go when their streams are deleted`,
      { place: wanted },
    )
  const client = await session.temporal()
  return Promise.all(
    names
      .filter((name) => matches(wanted, name))
      .map(async (name) => {
        const record = records.find((one) => matches(name, one)) ?? null
        const workflows = await workflowsOf(session, client, name, record)
        return {
          ...name,
          offsets: rows.filter((row) => matches(name, row)).length,
          letters: await lettersOf(session, name),
          record: record !== null,
          workflows,
          ...(await atTheLog(session, name)),
        }
      }),
  )
}

/**
 * Deletes a group: ends its workflows, and forgets progress, dead letters, offsets and record. It may be repeated where it did not come to its end. What
 * the handlers have written stays, and so does the history.
 *
 * @throws TidemarkError UNREACHABLE; GROUP_ACTIVE where workers have come meanwhile, or other consumers hold offsets at the log itself
 */
export async function deleteGroup(config: TidemarkConfig, plan: DeletionPlan, options: DeletionOptions = {}) {
  return inSession(config, (session) => deleteGroupIn(session, plan, options))
}

export async function deleteGroupIn(
  session: Session,
  plan: Pick<DeletionPlan, 'group' | 'stream'>,
  { mirrored = false, by = operatorName(), why = '' }: DeletionOptions = {},
): Promise<void> {
  const name = { group: plan.group, stream: plan.stream }
  const client = await session.temporal()
  const { groups } = await session.database()
  // Anew: a person may have thought about the plan for an hour, in which a worker was started.
  const record = (await groups.list({})).find((one) => matches(name, one)) ?? null
  const workflows = await workflowsOf(session, client, name, record)
  // The group's workflow first: it starts slices that are gone.
  for (const workflowId of workflows) await end(client, workflowId, `${prefix}the group was deleted by ${by}`)
  for (const { progress } of await progressDatabases(session, name)) await progress.delete(name)
  await (await session.store()).delete!(name.group, name.stream)
  if (mirrored) await (await mirrorOf(session, name))?.mirror?.delete?.(name.group, name.stream)
  // Last: by the record, what was interrupted is found again.
  await groups.delete(name, { by, why })
}

/** @throws TidemarkError GROUP_ACTIVE while workers have it */
async function workflowsOf(
  session: Session,
  client: Client,
  name: GroupName,
  record: GroupRecord | null,
): Promise<readonly string[]> {
  try {
    const workflow = await lookAtGroup(client, name)
    const polls = await groupPolls(client, await groupQueues(session.config, name, workflow))
    const now = Date.now()
    // A worker's poll is in hand whatever the clocks say: with this machine's ahead of Temporal's, all workers would look gone.
    const waiting = await waitingFor(client, name)
    const workers = [
      ...[...polls].filter(([identity, at]) => now - at < pollLifetimeMs && !waiting.includes(identity)),
      ...waiting.map((identity) => [identity, polls.get(identity) ?? now] as const),
    ]
    if (workers.length > 0) throw worked(name, workers, now)
    const slices = record ? [...bySlice(record.partitions, record.slices).keys()] : []
    const ids = slices.map((slice) => sliceWorkflowId(name, slice))
    const running = await eachOf(ids, lanes, async (id) => ((await runs(client, id)) ? [id] : []))
    return [...(workflow?.state === 'running' ? [groupWorkflowId(name.group, name.stream)] : []), ...running.flat()]
  } catch (error) {
    throw temporalError(error, session.config.temporal)
  }
}

function worked({ group, stream }: GroupName, workers: readonly (readonly [string, number])[], now: number) {
  const list = workers.map(([who, at]) => `${who} ${Math.max(0, Math.round((now - at) / 1000))} s ago`).join(', ')
  return new TidemarkError(
    'GROUP_ACTIVE',
    `group ${group} on ${stream} has workers, which would start it again; they last asked for work: ${list}. Stop them, or deploy them without the ` +
      `group, and try again: one that has ended counts for another ${pollLifetimeMs / 1000} s`,
    { place: { group, stream } },
  )
}

async function runs(client: Client, workflowId: string): Promise<boolean> {
  try {
    return (await client.workflow.getHandle(workflowId).describe()).status.name === 'RUNNING'
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false
    throw error
  }
}

async function end(client: Client, workflowId: string, reason: string): Promise<void> {
  await client.workflow
    .getHandle(workflowId)
    .terminate(reason)
    .catch((error) => {
      // It has ended meanwhile.
      if (!(error instanceof WorkflowNotFoundError)) throw error
    })
}

async function lettersOf(session: Session, name: GroupName): Promise<number> {
  const databases = await progressDatabases(session, name)
  const counts = await Promise.all(databases.map(({ letters }) => letters.count(name)))
  return counts.reduce((sum, { letters }) => sum + letters, 0)
}

/** Where handlers of the group keep their progress, as far as the config says. */
async function progressDatabases(session: Session, name: GroupName): Promise<readonly DatabaseClient[]> {
  const own = await session.database()
  const consumer = consumerOf(session, name)
  return consumer ? [...new Set([own, await session.progressDatabase(consumer)])] : [own]
}

function consumerOf({ config }: Session, name: GroupName): ParsedConsumer | undefined {
  return config.consumers.find(({ settings }) => matches(name, settings))
}

async function atTheLog(session: Session, name: GroupName): Promise<Pick<DeletionPlan, 'mirrored' | 'left'>> {
  const { mirrors = [] } = session.config
  const left = [
    ...(consumerOf(session, name)
      ? []
      : [
          'the progress, and dead letters, of handlers that wrote to another database than that of the store: the config does not have the group',
        ]),
    ...mirrors.map((mirror) => `what ${placeOf(mirror)} shows of the group, as a mirror of the store`),
  ]
  try {
    const found = await mirrorOf(session, name)
    if (!found)
      return { mirrored: null, left: [...left, `the log itself was not asked: the config has no ${name.stream}`] }
    const { where, mirror } = found
    if (!mirror) return { mirrored: null, left }
    const { length: offsets } = await answerWithin(where, mirror.read(name.group, name.stream), patience)
    return { mirrored: offsets === 0 ? null : { where, offsets, canDelete: mirror.delete !== undefined }, left }
  } catch (error) {
    return { mirrored: null, left: [...left, `what the log shows of the group is unknown: ${messageOf(error)}`] }
  }
}

/** The log's own place for the group's offsets; null where the config has no source of the stream. */
async function mirrorOf(
  session: Session,
  name: GroupName,
): Promise<{ readonly where: string; readonly mirror: OffsetMirror | null } | null> {
  const consumer = sourceFor(session.config, name)
  if (!consumer) return null
  // Where the store is the log, there is nothing besides.
  const isStore = session.config.store.kind === consumer.source.kind && consumer.source.kind !== 'postgres'
  const source = await session.source(consumer)
  return { where: placeOf(consumer.source), mirror: isStore ? null : (source.groupOffsets ?? null) }
}
