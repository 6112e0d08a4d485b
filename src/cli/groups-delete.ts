import { Command } from 'commander'
import { type DeletionPlan, deleteGroupIn, planDeletionIn } from '../client/delete-group.js'
import { inSession } from '../client/session.js'
import { jsonOption, streamOption, yesOption } from './choose.js'
import { configOption, loadConfig } from './config.js'
import { confirmed, requireConfirmable } from './confirm.js'
import { counted } from './format.js'

interface DeleteOptions {
  readonly config?: string
  readonly stream?: string
  readonly reason?: string
  readonly mirrored?: boolean
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly json?: boolean
}

export function deleteCommand(): Command {
  return new Command('delete')
    .description('Forget a group: its offsets, progress, dead letters, pauses and workflows, on all its streams.')
    .argument('<group>', 'a group that the store knows, whether the config has it or not')
    .addOption(configOption())
    .addOption(streamOption())
    .option('-r, --reason <text>', 'why, for the history')
    .option('--mirrored', 'also delete the offsets of the group that Tidemark shows in Kafka')
    .option('-n, --dry-run', 'show what there is, and delete nothing')
    .addOption(yesOption())
    .addOption(jsonOption('a JSON array of streams'))
    .addHelpText(
      'after',
      `
Refused while workers have the group in their config: they would start it again. A worker that has ended counts for another 75 s.
What handlers have written stays, and so do the history and the keys of 'dedupe', which expire by themselves. A group of the same name begins
anew: where its 'start' says. It asks first; with --yes, what the log itself shows of the group is deleted with --mirrored only.

Examples:
  $ tidemark groups delete billing-v1 --dry-run
  $ tidemark groups delete billing-v1 --reason 'replaced by billing'
  $ tidemark groups delete billing-v1 --stream orders --mirrored --yes --json`,
    )
    .action(deleteGroups)
}

async function deleteGroups(group: string, { config, stream, json = false, ...options }: DeleteOptions): Promise<void> {
  const { dryRun = false, yes = false, reason: why = '' } = options
  await inSession(await loadConfig(config), async (session) => {
    const plans = await planDeletionIn(session, { group, ...(stream === undefined ? {} : { stream }) })
    requireConfirmable('tidemark groups delete', options)
    const aside = json ? process.stderr : process.stdout
    if (!json || !(yes || dryRun)) aside.write(plans.map(planText).join('\n'))
    if (dryRun) {
      process.stdout.write(json ? jsonOf(plans, { deleted: false, mirrored: false }) : 'dry run: nothing was deleted\n')
      return
    }
    if (!yes && !(await confirmed(`delete group ${group} on ${plans.map((plan) => plan.stream).join(', ')}?`))) {
      process.stderr.write('nothing was deleted\n')
      process.exitCode = 1
      return
    }
    const mirrored = await alsoMirrored(plans, options)
    for (const plan of plans) {
      await deleteGroupIn(session, plan, { mirrored, why })
      if (!json) process.stdout.write(`${plan.group} on ${plan.stream}: deleted${leftText(plan, mirrored)}\n`)
    }
    if (json) process.stdout.write(jsonOf(plans, { deleted: true, mirrored }))
  })
}

async function alsoMirrored(plans: readonly DeletionPlan[], { mirrored, yes }: DeleteOptions): Promise<boolean> {
  const shown = plans.flatMap((plan) => (plan.mirrored?.canDelete ? [plan.mirrored] : []))
  if (mirrored || yes || shown.length === 0) return mirrored ?? false
  return confirmed(`also the offsets in ${[...new Set(shown.map(({ where }) => where))].join(', ')}?`)
}

/** Exported for its test. */
export function planText(plan: DeletionPlan): string {
  const { group, stream, offsets, letters, record, workflows, mirrored, left } = plan
  const lines = [
    counted(offsets, 'committed offset'),
    ...(letters > 0 ? [`${counted(letters, 'dead letter')} that nobody has handled, with what the messages say`] : []),
    ...(record ? ['its record: slices, pauses and stop'] : []),
    ...(workflows.length > 0 ? [`${counted(workflows.length, 'workflow')} without a worker, in Temporal`] : []),
    ...(mirrored?.canDelete ? [`${counted(mirrored.offsets, 'offset')} in ${mirrored.where}, if you say so`] : []),
    ...left.map((one) => `stays: ${one}`),
    ...(mirrored && !mirrored.canDelete
      ? [`stays: ${counted(mirrored.offsets, 'offset')} in ${mirrored.where}, which can not delete them`]
      : []),
  ]
  return `${group} on ${stream}\n${lines.map((line) => `  ${line}\n`).join('')}`
}

function leftText({ mirrored }: DeletionPlan, deleted: boolean): string {
  if (!mirrored || (deleted && mirrored.canDelete)) return ''
  const how = mirrored.canDelete ? '; --mirrored deletes them' : ', which can not delete them'
  return `; ${counted(mirrored.offsets, 'offset')} stay in ${mirrored.where}${how}`
}

function jsonOf(
  plans: readonly DeletionPlan[],
  done: { readonly deleted: boolean; readonly mirrored: boolean },
): string {
  return `${JSON.stringify(
    plans.map(({ mirrored, ...plan }) => ({
      ...plan,
      mirrored,
      deleted: done.deleted,
      mirroredDeleted: done.deleted && done.mirrored && (mirrored?.canDelete ?? false),
    })),
  )}\n`
}
