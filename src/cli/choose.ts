import { Command, InvalidArgumentError, Option } from 'commander'
import { configOption } from './config.js'

/** Which consumers a command is about. */
export interface GroupOptions {
  readonly config?: string
  readonly group?: string
  readonly stream?: string
}

export const groupOption = () => new Option('-g, --group <name>', 'only this group of the config')
export const streamOption = () => new Option('-s, --stream <name>', 'only this stream')
export const jsonOption = (what: string) => new Option('--json', `${what} on standard output`)
export const partitionOption = () =>
  new Option('-p, --partition <index>', 'only this partition; repeat it for more').argParser(addPartition)

/** A command about some of the config's groups. */
export function groupCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .addOption(configOption())
    .addOption(groupOption())
    .addOption(streamOption())
}

/** A command about one group: the others have to be named, so the error says which there are. */
export function oneGroupCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .addOption(configOption())
    .option('-g, --group <name>', 'the group, as the config names it; may be left out where the config has only one')
    .option('-s, --stream <name>', 'the stream; may be left out where the group reads only one')
}

export const yesOption = () => new Option('-y, --yes', 'do not ask')
export const dryRunOption = () => new Option('-n, --dry-run', 'show what would change, and change nothing')
export const onePartitionOption = () =>
  new Option('-p, --partition <index>', 'the partition').argParser(partitionIndex).makeOptionMandatory()

/** Both names, since people know `--reason` from pause and skip. */
export const whyOption = () => new Option('--reason, --why <text>', 'why, for the history')

export const offsetOption = (what: string) => new Option('-o, --offset <offset>', what).argParser(offsetOf)

function offsetOf(text: string): bigint {
  if (!/^\d{1,19}$/.test(text)) throw new InvalidArgumentError('an offset is a whole number from 0 up')
  return BigInt(text)
}

function addPartition(text: string, before: number[] = []): number[] {
  return [...before, partitionIndex(text)]
}

export function partitionIndex(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('a partition is a whole number from 0 up')
  return Number(text)
}
