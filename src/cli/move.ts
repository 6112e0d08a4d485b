import type { Command } from 'commander'
import { applyResetIn } from '../client/apply.js'
import { findConsumer } from '../client/find.js'
import { lettersByPartition } from '../client/letters/by-partition.js'
import { text } from '../client/partition-line.js'
import type { Move, PositionPlan } from '../client/plan.js'
import { inSession, type Session } from '../client/session.js'
import { describePartition } from '../model/partition.js'
import { dryRunOption, jsonOption, partitionOption, whyOption, yesOption } from './choose.js'
import { loadConfig } from './config.js'
import { confirmed, requireConfirmable } from './confirm.js'
import { counted } from './format.js'
import { table } from './table.js'
import { widthOf } from './terminal.js'

/** Options of commands that move positions. */
export interface MoveOptions {
  readonly config?: string
  readonly group?: string
  readonly stream?: string
  readonly partition?: number[]
  readonly why?: string
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly json?: boolean
  readonly deadLetters?: 'keep' | 'clear'
}

export function withMoveOptions(command: Command): Command {
  return command
    .addOption(partitionOption())
    .addOption(whyOption())
    .addOption(dryRunOption())
    .addOption(yesOption())
    .addOption(jsonOption('a JSON object'))
}

/** How a command that moves positions is spoken of. */
interface Words {
  readonly verb: 'reset' | 'adopt' | 'skip' | 'offsets import'
  /** Of a partition that was moved. */
  readonly done: string
}

/**
 * Plans, shows the plan, asks, and does it. Everything that can be wrong is found before anything is changed: the config, the
 * group, the store, the stream and Temporal, in this order.
 */
export async function move(
  words: Words,
  options: MoveOptions,
  plan: (session: Session) => Promise<PositionPlan>,
): Promise<void> {
  const config = await loadConfig(options.config)
  await inSession(config, async (session) => {
    findConsumer(session.config, options)
    requireConfirmable(`tidemark ${words.verb}`, options)
    const moved = await moveAll(session, words, options, async () => [await plan(session)])
    if (options.json && moved) process.stdout.write(`${JSON.stringify(moved[0])}\n`)
  })
}

/**
 * The same with plans of several groups, in a session. They are shown together, and asked about once.
 *
 * @returns what became of each, fit for JSON; null where the answer was no
 */
export async function moveAll(
  session: Session,
  { verb, done }: Words,
  { dryRun = false, yes = false, json = false, why = '', deadLetters }: MoveOptions,
  plan: () => Promise<readonly PositionPlan[]>,
): Promise<readonly Moved[] | null> {
  const plans = await plan()
  if (!dryRun) await session.temporal()

  const aside = json ? process.stderr : process.stdout
  if (!json || !(yes || dryRun)) aside.write(plans.map((one) => show(one, widthOf(aside))).join('\n'))
  if (deadLetters) aside.write(await lettersText(session, plans, deadLetters))
  if (dryRun) {
    if (!json) process.stdout.write('dry run: nothing was changed\n')
    return plans.map((one) => movedBy(one, { dryRun, reopened: [] }))
  }
  if (!yes && !(await confirmed(question(verb, plans)))) {
    process.stderr.write('nothing was changed\n')
    process.exitCode = 1
    return null
  }
  const moved: Moved[] = []
  for (const one of plans) {
    const { reopened, cleared } = await applyResetIn(session, one, { why, ...(deadLetters && { deadLetters }) })
    if (!json) process.stdout.write(doneText(done, one, reopened))
    moved.push(movedBy(one, { dryRun, reopened, ...(deadLetters && { cleared }) }))
  }
  return moved
}

function question(verb: Words['verb'], plans: readonly PositionPlan[]): string {
  const [plan] = plans
  if (verb === 'skip')
    return `skip offset ${plan!.moves[0]!.from} of ${describePartition({ ...plan!, ...plan!.moves[0]! })} for ${plan!.group}?`
  const count = plans.reduce((sum, { moves }) => sum + moves.length, 0)
  return `${verb === 'adopt' ? verb : 'reset'} ${counted(count, 'partition')}?`
}

function show({ group, stream, moves, since }: PositionPlan, width: number | undefined): string {
  const rows = moves.map((one) => [one.partition, text(one.from) ?? '-', text(one.to)!, what(one)])
  const sum = (of: 'again' | 'skipped') => moves.reduce((all, one) => all + one[of], 0n)
  const moment =
    since === undefined ? '' : `to the first message written at ${new Date(since).toISOString()} or later\n`
  return (
    `${group} on ${stream}: ${counted(sum('again'), 'message')} handled again, ${sum('skipped')} skipped\n` +
    moment +
    table(['PARTITION', 'FROM', 'TO', 'WHAT'], rows, { width })
  )
}

function what({ from, to, again, skipped, remark }: Move): string {
  const effect =
    again > 0n
      ? `${again} handled again`
      : skipped > 0n
        ? `${skipped} skipped`
        : from === null
          ? 'begins there'
          : from === to
            ? 'unchanged'
            : 'moved'
  return remark ? `${effect}; ${remark}` : effect
}

function doneText(done: string, { group, stream, moves }: PositionPlan, reopened: readonly number[]): string {
  const told =
    reopened.length > 0
      ? `${counted(reopened.length, 'running partition')} told`
      : 'none of them runs: they begin there when the group is started'
  return `${group} on ${stream}: ${counted(moves.length, 'partition')} ${done}, ${told}\n`
}

/** What becomes of letters of the partitions; empty where there are none. */
async function lettersText(session: Session, plans: readonly PositionPlan[], what: 'keep' | 'clear'): Promise<string> {
  const lines = await Promise.all(
    plans.map(async (plan) => {
      const letters = await lettersByPartition(
        session,
        findConsumer(session.config, plan),
        plan.moves.map(({ partition }) => partition),
      )
      const count = [...letters.values()].reduce((sum, { messages }) => sum + messages, 0)
      if (count === 0) return ''
      const there = `${counted(count, 'message')} of these partitions ${count === 1 ? 'is' : 'are'} set aside`
      return what === 'clear'
        ? `${there}, and will be discarded: those from the new position on come again from the log\n`
        : `${there} and ${count === 1 ? 'stays' : 'stay'} so: messages of the same keys that come again go behind. --dead-letters clear discards\n`
    }),
  )
  return lines.join('')
}

type Moved = ReturnType<typeof movedBy>

function movedBy(
  { group, stream, kind, moves, since }: PositionPlan,
  {
    dryRun,
    reopened,
    cleared,
  }: { readonly dryRun: boolean; readonly reopened: readonly number[]; readonly cleared?: number },
) {
  return {
    group,
    stream,
    kind,
    ...(since === undefined ? {} : { since: new Date(since).toISOString() }),
    dryRun,
    reopened,
    ...(cleared === undefined ? {} : { cleared }),
    partitions: moves.map(({ partition, from, to, again, skipped, remark }) => ({
      partition,
      from: text(from),
      to: String(to),
      again: String(again),
      skipped: String(skipped),
      remark,
    })),
  }
}
