import { readFile, writeFile } from 'node:fs/promises'
import { Command } from 'commander'
import { type FileOffset, formatOffsets, parseOffsets } from '../client/offsets-file.js'
import { exportedOffsets, planImport } from '../client/offsets-moved.js'
import { inSession } from '../client/session.js'
import { messageOf, TidemarkError } from '../model/errors.js'
import {
  dryRunOption,
  type GroupOptions,
  groupCommand,
  groupOption,
  jsonOption,
  streamOption,
  whyOption,
  yesOption,
} from './choose.js'
import { configOption, loadConfig } from './config.js'
import { requireConfirmable } from './confirm.js'
import { counted } from './format.js'
import { type MoveOptions, moveAll } from './move.js'

export function offsetsCommand(): Command {
  return new Command('offsets')
    .description('Committed offsets as a file, to keep or to bring elsewhere, and back.')
    .enablePositionalOptions()
    .addCommand(exportCommand())
    .addCommand(importCommand())
    .addHelpText(
      'after',
      '\nExamples:\n  $ tidemark offsets export --file offsets.csv\n  $ tidemark offsets import --file offsets.csv --dry-run',
    )
}

function exportCommand(): Command {
  return groupCommand('export', 'Write the committed offsets of groups as CSV.')
    .option('-f, --file <file>', 'write to this file; default: standard output')
    .addOption(jsonOption('a JSON array instead of CSV'))
    .addHelpText(
      'after',
      `
A line for each partition that has an offset: topic,partition,offset where all of them are of one group, and
group,topic,partition,offset for several. That is the form of kafka-consumer-groups --reset-offsets --export; the offset is that of the next
message. Without --group it has the groups of the config. Needs no worker and no Temporal.

Examples:
  $ tidemark offsets export --group billing --file offsets.csv
  $ tidemark offsets export | sort -t, -k3 -n
  $ tidemark offsets export --json | jq 'map(.offset | tonumber) | add'`,
    )
    .action(async ({ config, file, json, ...wanted }: GroupOptions & { file?: string; json?: boolean }) => {
      const offsets = await inSession(await loadConfig(config), (session) => exportedOffsets(session, wanted))
      const csv = formatOffsets(offsets)
      if (file !== undefined) await written(file, csv)
      if (json)
        process.stdout.write(`${JSON.stringify(offsets.map((row) => ({ ...row, offset: String(row.offset) })))}\n`)
      else process.stdout.write(file === undefined ? csv : `${counted(offsets.length, 'offset')} written to ${file}\n`)
    })
}

function importCommand(): Command {
  return new Command('import')
    .description("Put groups where a file says, as 'tidemark reset' does.")
    .addOption(configOption())
    .requiredOption('-f, --file <file>', "offsets as 'tidemark offsets export' or kafka-consumer-groups writes them")
    .addOption(groupOption())
    .addOption(streamOption())
    .addOption(whyOption())
    .addOption(dryRunOption())
    .addOption(yesOption())
    .addOption(jsonOption('a JSON array of groups'))
    .addHelpText(
      'after',
      `
Shows what it would do for all groups, and asks once. Each group is reset, see 'tidemark reset --help'; partitions that the file does not
have stay where they are. An offset that the log does not have is refused, and nothing is changed then.
A file without groups (topic,partition,offset) needs --group where several groups of the config read that stream.

Examples:
  $ tidemark offsets import --file offsets.csv --dry-run
  $ tidemark offsets import --file offsets.csv --group billing --why 'moved from the old cluster'`,
    )
    .action(async ({ file, config, group, stream, ...options }: MoveOptions & { file: string }) => {
      const wanted = { ...(group === undefined ? {} : { group }), ...(stream === undefined ? {} : { stream }) }
      const offsets = await readOffsets(file)
      requireConfirmable('tidemark offsets import', options)
      await inSession(await loadConfig(config), async (session) => {
        const moved = await moveAll(session, { verb: 'offsets import', done: 'reset' }, options, () =>
          planImport(session, offsets, wanted),
        )
        if (options.json && moved) process.stdout.write(`${JSON.stringify(moved)}\n`)
      })
    })
}

/**
 * @param partitions only these, where some are named
 * @throws TidemarkError CONFIG_INVALID for a file that can't be read, or is no file of offsets
 */
export async function readOffsets(file: string, partitions?: readonly number[]): Promise<FileOffset[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new TidemarkError('CONFIG_INVALID', `${file} can't be read: ${messageOf(error)}`, { cause: error })
  })
  const offsets = parseOffsets(text, file)
  const missing = partitions?.find((wanted) => !offsets.some(({ partition }) => partition === wanted))
  if (missing !== undefined) throw new TidemarkError('CONFIG_INVALID', `${file} has no offset of partition ${missing}`)
  return offsets.filter(({ partition }) => partitions?.includes(partition) ?? true)
}

async function written(file: string, text: string): Promise<void> {
  await writeFile(file, text).catch((error: unknown) => {
    throw new TidemarkError('CONFIG_INVALID', `${file} can't be written: ${messageOf(error)}`, { cause: error })
  })
}
