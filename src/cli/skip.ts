import { type Command, InvalidArgumentError, Option } from 'commander'
import { planSkipIn } from '../client/skip.js'
import { dryRunOption, jsonOption, offsetOption, oneGroupCommand, onePartitionOption, yesOption } from './choose.js'
import { type MoveOptions, move } from './move.js'

interface SkipOptions extends Omit<MoveOptions, 'partition' | 'why'> {
  readonly partition: number
  readonly offset: bigint
  readonly reason: string
}

export function skipCommand(): Command {
  return oneGroupCommand('skip', 'Let a group go on behind the one message that a partition stands at.')
    .addOption(onePartitionOption())
    .addOption(offsetOption('the offset that the partition stands at').makeOptionMandatory())
    .addOption(new Option('-r, --reason <text>', 'why, for the history').argParser(filledReason).makeOptionMandatory())
    .addOption(dryRunOption())
    .addOption(yesOption())
    .addOption(jsonOption('a JSON object'))
    .addHelpText(
      'after',
      `
The partition has to be blocked, paused or without a worker: 'tidemark pause' stops one that is retried. The offset has to be the one that
it stands at, which 'tidemark show' shows: exactly that message is skipped, and the command is refused otherwise.
A blocked partition goes on at once. A paused one stays paused.
'tidemark history' has it as 'skipped', with who and why; 'tidemark reset --to OFFSET' makes up for it.

Examples:
  $ tidemark show --partition 3 --payload
  $ tidemark skip --partition 3 --offset 120 --reason 'truncated by the old exporter, see #212'
  $ tidemark skip --group billing --stream orders --partition 3 --offset 120 --reason 'test data' --yes --json`,
    )
    .action(({ partition, offset, reason, group, stream, ...options }: SkipOptions) => {
      const wanted = { ...(group === undefined ? {} : { group }), ...(stream === undefined ? {} : { stream }) }
      return move(
        { verb: 'skip', done: 'moved behind the message' },
        { ...options, ...wanted, why: reason },
        (session) => planSkipIn(session, { ...wanted, partition, offset }),
      )
    })
}

/** A skipped message is gone for this group: whoever looks for it has only this text. */
function filledReason(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('say why the message may be left out')
  return text
}
