import type { TidemarkConfig } from '../config/define.js'
import type { ParsedConsumer } from '../config/parse.js'
import type { StoppedPartition } from '../model/commands.js'
import { isTidemarkError, messageOf } from '../model/errors.js'
import type { GroupName } from '../model/partition.js'
import { answered } from '../temporal/answers.js'
import { temporalError } from '../temporal/connection.js'
import { lookAtGroup } from '../temporal/group-workflow.js'
import { answerWithin, placeOf } from './deadline.js'
import { findConsumers, type Wanted } from './find.js'
import { lastReports } from './last-reports.js'
import { type LettersByPartition, lettersByPartition } from './letters/by-partition.js'
import { patience } from './open-parts.js'
import { lineOf, type PartitionLine, text, type Unheard, withoutWorkers } from './partition-line.js'
import { greatestAge, type PartitionPosition, readPositions, sumOfLag } from './positions.js'
import { type Findings, problemOf } from './problem.js'
import { inSession, type Session } from './session.js'
import { type GroupView, statusBy } from './status.js'
import { describeStop, stopInForce } from './stopped.js'

/** A consumer as people see it: what its workers say, and how far it has come by its store and its log. Fit for JSON. */
export interface ConsumerView {
  readonly group: string
  readonly stream: string
  /** What could not be asked and why, a sentence each: no worker answers, the store or the stream can't be reached. */
  readonly notes: readonly string[]
  /** False where Temporal, the store or the stream could not be reached. That no worker runs is a state like others. */
  readonly complete: boolean
  /** Why the group does not run though it should, in a sentence. Null where it runs, has finished, or a person has paused or stopped it. */
  readonly problem: string | null
  /** The config in force; null where no worker says. */
  readonly config: GroupView['config'] | null
  /** Why the whole group is paused; null where it is not. */
  readonly paused: string | null
  /** How, when and why a person has stopped the group in Temporal; null where nobody has. */
  readonly stopped: string | null
  readonly lag: string | null
  readonly timeLagMs: number | null
  readonly partitions: readonly PartitionLine[]
}

type Asked<T> = { readonly answer: T; readonly why: null } | { readonly answer: null; readonly why: unknown }

/**
 * What the groups of a config are doing and how far they have come: what `tidemark status` shows.
 *
 * @throws TidemarkError UNKNOWN_CONSUMER; UNREACHABLE where neither Temporal nor the store can be reached
 */
export function viewGroups(config: TidemarkConfig, wanted: Wanted = {}): Promise<ConsumerView[]> {
  return inSession(config, (session) =>
    Promise.all(findConsumers(session.config, wanted).map((consumer) => viewConsumer(session, consumer))),
  )
}

/**
 * Looks at a consumer from all sides at once. What does not answer is named in `notes`, and the rest is shown.
 *
 * @throws what the store threw, when Temporal doesn't answer either
 */
export async function viewConsumer(session: Session, consumer: ParsedConsumer): Promise<ConsumerView> {
  const { group, stream } = consumer.settings
  const name = { group, stream }
  const [temporal, positions, record] = await Promise.all([
    asked(workersOf(session, name)),
    asked(positionsOf(session, consumer)),
    asked(session.database().then(({ groups }) => groups.read(name))),
  ])
  if (!temporal.answer && !positions.answer) throw positions.why
  const findings: Findings = {
    workflow: temporal.answer?.workflow ?? null,
    view: temporal.answer?.view ?? null,
    unanswered: temporal.answer ? temporal.answer.unanswered : temporal.why,
    record: record.answer,
  }
  const reports = await asked(reportsOf(session, findings))
  const positioned = positions.answer?.positions ?? []
  const partitions = new Set(
    [...positioned, ...(record.answer?.partitions ?? []).map((partition) => ({ partition }))].map(
      (one) => one.partition,
    ),
  )
  const letters = await asked(lettersByPartition(session, consumer, [...partitions]))
  const notes = [
    ...noteOf(findings),
    ...(positions.answer ? positions.answer.notes : [`from the workers alone: ${messageOf(positions.why)}`]),
    ...(record.why === null || !positions.answer ? [] : [`pauses and stops are unknown: ${messageOf(record.why)}`]),
    ...(letters.why === null || !positions.answer ? [] : [`what is set aside is unknown: ${messageOf(letters.why)}`]),
    ...(reports.why === null ? [] : [`which partitions are blocked is unknown: ${messageOf(reports.why)}`]),
  ]
  const complete = positions.answer?.why === null && record.why === null && temporal.why === null
  const problem = temporal.why === null && record.why === null ? problemOf(name, findings) : null
  return merge({ group, stream, notes, complete, problem }, findings, reports.answer ?? [], positioned, letters.answer)
}

/** The group's workflow, and what its workers say where they answer. */
async function workersOf(session: Session, name: GroupName): Promise<Omit<Findings, 'record'>> {
  const client = await session.temporal()
  try {
    const workflow = await answered(client, name, () => lookAtGroup(client, name), patience)
    const view = await asked(statusBy(client, name, workflow, patience))
    if (view.why !== null && !silent(view.why)) throw view.why
    return { workflow, view: view.answer, unanswered: view.why }
  } catch (error) {
    throw temporalError(error, session.config.temporal)
  }
}

/** What the slices have last said to be blocked or fenced, where no worker answers though Temporal does. */
async function reportsOf(session: Session, findings: Findings): Promise<readonly StoppedPartition[]> {
  const { workflow, record, view } = findings
  if (!workflow || view || !record || stopInForce(record, workflow)) return []
  return lastReports(await session.temporal(), record, patience)
}

/** Whether Temporal answered, and only the group's workers did not: then the error is about the group. */
function silent(why: unknown): boolean {
  return isTidemarkError(why) && why.place.group !== undefined
}

/** Why only half of it is shown. */
function noteOf({ workflow, record, view, unanswered }: Findings): string[] {
  if (view || stopInForce(record, workflow)) return []
  if (unanswered !== null)
    return [`${silent(unanswered) ? 'no worker answers' : messageOf(unanswered)}: from the store and the broker`]
  return [`${workflow || record ? 'does not run' : 'not started'}: from the store and the broker`]
}

/** A group that runs may not know a partition yet that was added just now. */
function unheardOf({ workflow, view, unanswered }: Findings): Unheard {
  if (view) return 'unknown'
  if (workflow?.state === 'running') return 'stopped (no worker)'
  return unanswered === null ? 'not running' : 'unknown'
}

/** Positions by the store, and by the log as far as it answers. Throws where the store does not. */
export async function positionsOf(
  session: Session,
  consumer: ParsedConsumer,
): Promise<{ readonly positions: readonly PartitionPosition[]; readonly notes: readonly string[]; why: unknown }> {
  const { settings, source } = consumer
  const store = await session.store()
  try {
    const reading = session.source(consumer).then((client) => readPositions(settings, { store, source: client }))
    return { positions: await answerWithin(placeOf(source), reading, 2 * patience), notes: [], why: null }
  } catch (why) {
    const positions = await readPositions(settings, { store, source: null })
    return { positions, notes: [`heads and lag are unknown: ${messageOf(why)}`], why }
  }
}

async function asked<T>(asking: Promise<T>): Promise<Asked<T>> {
  try {
    return { answer: await asking, why: null }
  } catch (why) {
    return { answer: null, why }
  }
}

function merge(
  base: Pick<ConsumerView, 'group' | 'stream' | 'notes' | 'complete' | 'problem'>,
  findings: Findings,
  reports: readonly StoppedPartition[],
  positions: readonly PartitionPosition[],
  letters: LettersByPartition | null,
): ConsumerView {
  const { workflow, record, view } = findings
  const stop = stopInForce(record, workflow)
  const evidence = { unheard: unheardOf(findings), stop, record, reports }
  const stored = new Map(positions.map((one) => [one.partition, one]))
  const told = new Map((view?.partitions ?? []).map((one) => [one.partition, one]))
  const recorded = view ? [] : (record?.partitions ?? [])
  const partitions = [...new Set([...stored.keys(), ...told.keys(), ...recorded])].sort((a, b) => a - b)
  const paused = view ? view.paused : (record?.paused.group?.why ?? null)
  return {
    ...base,
    config: view?.config ?? null,
    paused: paused === '' ? 'no reason given' : paused,
    stopped: stop && describeStop(stop),
    lag: text(sumOfLag(positions)),
    timeLagMs: greatestAge(positions),
    partitions: partitions.map((partition) => {
      const position = stored.get(partition)
      const theirs = told.get(partition) ?? withoutWorkers(partition, evidence, position)
      const set = letters && (letters.get(partition) ?? { messages: 0, keys: 0 })
      return lineOf(partition, theirs, position, set)
    }),
  }
}
