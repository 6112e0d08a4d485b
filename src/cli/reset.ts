import { type Command, Option } from 'commander'
import { findConsumer } from '../client/find.js'
import { planImport } from '../client/offsets-moved.js'
import { planResetIn } from '../client/reset.js'
import { parseTarget } from '../client/target.js'
import { TidemarkError } from '../model/errors.js'
import { oneGroupCommand } from './choose.js'
import { type MoveOptions, move, withMoveOptions } from './move.js'
import { readOffsets } from './offsets.js'

interface ResetOptions extends MoveOptions {
  readonly to?: string
  readonly fromFile?: string
}

export function resetCommand(): Command {
  return withMoveOptions(
    oneGroupCommand(
      'reset',
      "Put a group's positions somewhere else: back to handle messages again, ahead to skip some.",
    ),
  )
    .option(
      '-t, --to <position>',
      'first, last, next, an offset, an ISO time, -1h for a time before now, or +n or -n from where it is',
    )
    .addOption(new Option('-f, --from-file <file>', "offsets as 'tidemark offsets export' writes them").conflicts('to'))
    .addOption(
      new Option('--dead-letters <what>', 'what becomes of messages of these partitions that are set aside')
        .choices(['keep', 'clear'])
        .default('keep'),
    )
    .addHelpText(
      'after',
      `
  first      the oldest message that the log still has
  last       the newest message there is
  next       only messages that arrive from now on
  1400       the message at that offset (0: the beginning)
  <time>     the first message written at or after it: 2026-07-01, 2026-07-01T08:00 (both UTC), 2026-07-01T08:00+02:00
  -1h        the first message written at or after that time before now: 90s, 15m, 1h, 7d; or PT1H, P7D
  +n, -n     so many offsets on or back from what is committed; not farther than the log goes

Shows what it would do, and asks. Nothing is changed for any partition when one of them can't be put there.
A partition that runs ends its chunk in hand and goes on from the new position. Idempotency keys of messages handled
again differ from before. Paused partitions stay paused. What was handled but is not committed yet is handled again, too.
Messages that are set aside stay so, and messages of their keys that come again go behind them, in their order. With
--dead-letters clear they are discarded; only those that the new position has in front of it come again.
Numbers are upper bounds where offsets have gaps (those of Postgres streams always do).

Examples:
  $ tidemark reset --group billing --to 2026-07-01T08:00:00Z --dry-run
  $ tidemark reset --group billing --stream orders --partition 3 --to 1400 --why 'wrong tax rate, see #212'
  $ tidemark reset --group billing --to -1h --dry-run
  $ tidemark reset --group billing --to -1000 --yes
  $ tidemark reset --group billing --to first --dead-letters clear --dry-run
  $ tidemark reset --group billing --from-file offsets.csv
  $ tidemark pause -g billing && tidemark reset -g billing --to first && tidemark resume -g billing`,
    )
    .action(({ to, fromFile, partition, group, stream, ...options }: ResetOptions) => {
      if (to === undefined && fromFile === undefined)
        throw new TidemarkError(
          'CONFIG_INVALID',
          'say where to put the positions: --to <position> or --from-file <file>',
        )
      const target = to === undefined ? null : parseTarget(to)
      const wanted = { ...(group === undefined ? {} : { group }), ...(stream === undefined ? {} : { stream }) }
      const partitions = partition ? { partitions: partition } : {}
      return move({ verb: 'reset', done: 'reset' }, { ...options, ...wanted }, async (session) => {
        if (target !== null) return planResetIn(session, { ...wanted, to: target, ...partitions })
        const { settings } = findConsumer(session.config, wanted)
        const offsets = await readOffsets(fromFile!, partition)
        const [plan] = await planImport(session, offsets, { group: settings.group, stream: settings.stream })
        return plan!
      })
    })
}
