import type { Command } from 'commander'
import { applyResetIn } from '../client/apply.js'
import { findConsumer } from '../client/find.js'
import { text } from '../client/partition-line.js'
import type { Move, PositionPlan } from '../client/plan.js'
import { inSession, type Session } from '../client/session.js'
import { jsonOption, partitionOption } from './choose.js'
import { configOption, loadConfig } from './config.js'
import { confirmed, requireConfirmable } from './confirm.js'
import { counted } from './format.js'
import { table } from './table.js'
import { widthOf } from './terminal.js'

/** Options of commands that move positions. */
export interface MoveOptions {
  readonly config?: string
  readonly group: string
  readonly stream?: string
  readonly partition?: number[]
  readonly why?: string
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly json?: boolean
}

export function withMoveOptions(command: Command): Command {
  return command
    .addOption(configOption())
    .requiredOption('-g, --group <name>', 'the group, as the config names it')
    .option('-s, --stream <name>', 'the stream; may be left out where the group reads only one')
    .addOption(partitionOption())
    .option('--why <text>', 'for the history')
    .option('-n, --dry-run', 'show what would change, and change nothing')
    .option('-y, --yes', 'do not ask')
    .addOption(jsonOption('a JSON object'))
}

/**
 * Plans, shows the plan, asks, and does it. Everything that can be wrong is found before anything is changed: the config, the
 * group, the store, the stream and Temporal, in this order.
 */
export async function move(
  verb: 'reset' | 'adopt',
  options: MoveOptions,
  plan: (session: Session) => Promise<PositionPlan>,
): Promise<void> {
  const config = await loadConfig(options.config)
  await inSession(config, async (session) => {
    findConsumer(session.config, options)
    requireConfirmable(`tidemark ${verb}`, options)
    await moveIn(session, verb, options, plan)
  })
}

async function moveIn(
  session: Session,
  verb: 'reset' | 'adopt',
  { dryRun = false, yes = false, json = false, why = '' }: MoveOptions,
  plan: (session: Session) => Promise<PositionPlan>,
): Promise<void> {
  const planned = await plan(session)
  if (!dryRun) await session.temporal()

  const aside = json ? process.stderr : process.stdout
  if (!json || !(yes || dryRun)) aside.write(show(planned, widthOf(aside)))
  const finish = (reopened: readonly number[] | null) => {
    if (json) process.stdout.write(`${JSON.stringify(jsonOf(planned, { dryRun, reopened }))}\n`)
    else process.stdout.write(reopened ? done(verb, planned, reopened) : 'dry run: nothing was changed\n')
  }
  if (dryRun) return finish(null)
  if (!yes && !(await confirmed(`${verb} ${counted(planned.moves.length, 'partition')}?`))) {
    process.stderr.write('nothing was changed\n')
    process.exitCode = 1
    return
  }
  finish((await applyResetIn(session, planned, { why })).reopened)
}

function show({ group, stream, moves }: PositionPlan, width: number | undefined): string {
  const rows = moves.map((one) => [one.partition, text(one.from) ?? '-', text(one.to)!, what(one)])
  const sum = (of: 'again' | 'skipped') => moves.reduce((all, one) => all + one[of], 0n)
  return (
    `${group} on ${stream}: ${counted(sum('again'), 'message')} handled again, ${sum('skipped')} skipped\n` +
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

function done(verb: string, { group, stream, moves }: PositionPlan, reopened: readonly number[]): string {
  const told =
    reopened.length > 0
      ? `${counted(reopened.length, 'running partition')} told`
      : 'none of them runs: they begin there when the group is started'
  return `${group} on ${stream}: ${counted(moves.length, 'partition')} ${verb === 'reset' ? 'reset' : 'adopted'}, ${told}\n`
}

function jsonOf(
  { group, stream, kind, moves }: PositionPlan,
  { dryRun, reopened }: { dryRun: boolean; reopened: readonly number[] | null },
) {
  return {
    group,
    stream,
    kind,
    dryRun,
    reopened: reopened ?? [],
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
