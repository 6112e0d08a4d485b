import { type Command, InvalidArgumentError, Option } from 'commander'
import { findConsumer } from '../client/find.js'
import { resliceIn } from '../client/reslice.js'
import { inSession } from '../client/session.js'
import type { Resliced } from '../model/commands.js'
import { mostSlices } from '../model/partition.js'
import { neverStarted } from '../temporal/answers.js'
import { jsonOption, oneGroupCommand, whyOption } from './choose.js'
import { loadConfig } from './config.js'
import { confirmed, requireConfirmable } from './confirm.js'
import { counted } from './format.js'
import { table } from './table.js'

interface ResliceOptions {
  readonly config?: string
  readonly group?: string
  readonly stream?: string
  readonly slices: number
  readonly why?: string
  readonly yes?: boolean
  readonly json?: boolean
}

export function resliceCommand(): Command {
  return oneGroupCommand('reslice', "Divide a group's partitions into another number of slices.")
    .addOption(
      new Option('--slices <count>', `how many, from 1 to ${mostSlices}`).argParser(countOf).makeOptionMandatory(),
    )
    .addOption(whyOption())
    .option('-y, --yes', 'do not ask')
    .addOption(jsonOption('a JSON object'))
    .addHelpText(
      'after',
      `
The slices finish the chunks in hand, commit, and end; then the new ones begin where they ended. Nothing is handled by two slices, and
nothing is handled meanwhile. Pauses stay. What is blocked or fenced is taken up again, as 'resume' does.
The command waits until the old slices have ended. It may be interrupted, and repeated: a number that is in force already changes nothing.

Examples:
  $ tidemark reslice --group billing --slices 32 --why 'twice the partitions'
  $ tidemark reslice --group billing --stream orders --slices 4 --yes --json`,
    )
    .action(reslice)
}

function countOf(text: string): number {
  if (/^\d{1,4}$/.test(text) && Number(text) >= 1 && Number(text) <= mostSlices) return Number(text)
  throw new InvalidArgumentError(`give a whole number from 1 to ${mostSlices}`)
}

async function reslice({ slices, why = '', yes = false, json = false, ...options }: ResliceOptions): Promise<void> {
  await inSession(await loadConfig(options.config), async (session) => {
    const consumer = findConsumer(session.config, options)
    requireConfirmable('tidemark reslice', { yes }, '--yes')
    const { group, stream } = consumer.settings
    const record = await (await session.database()).groups.read({ group, stream })
    if (!record) throw neverStarted({ group, stream })
    if (record.slices !== slices) {
      const partitions = counted(record.partitions.length, 'partition')
      const question = `divide ${partitions} of ${stream} into ${counted(slices, 'slice')} for ${group}, instead of ${record.slices}?`
      if (!yes && !(await confirmed(question))) {
        process.stderr.write('nothing was changed\n')
        process.exitCode = 1
        return
      }
      process.stderr.write(`tidemark: waiting until the slices of ${group} on ${stream} have ended\n`)
    }
    const resliced = await resliceIn(session, consumer, { slices, reason: why })
    process.stdout.write(json ? `${JSON.stringify(jsonOf(resliced))}\n` : show(resliced))
  })
}

function show({ group, stream, partitions, before, slices, generation }: Resliced): string {
  if (before === slices) return `${group} on ${stream}: has ${counted(slices, 'slice')} already, nothing was changed\n`
  return table(
    ['GROUP', 'STREAM', 'PARTITIONS', 'BEFORE', 'SLICES', 'GENERATION'],
    [[group, stream, partitions.length, before, slices, generation]],
  )
}

function jsonOf({ group, stream, partitions, before, slices, generation }: Resliced) {
  return { group, stream, partitions, before, slices, generation, changed: before !== slices }
}
