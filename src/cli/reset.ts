import { Command } from 'commander'
import { planResetIn } from '../client/reset.js'
import { parseTarget } from '../client/target.js'
import { type MoveOptions, move, withMoveOptions } from './move.js'

export function resetCommand(): Command {
  return withMoveOptions(
    new Command('reset').description(
      "Put a group's positions somewhere else: back to handle messages again, ahead to skip some.",
    ),
  )
    .requiredOption('-t, --to <position>', 'first, last, next, an offset, an ISO time, or +n or -n from where it is')
    .addHelpText(
      'after',
      `
  first      the oldest message that the log still has
  last       the newest message there is
  next       only messages that arrive from now on
  1400       the message at that offset (0: the beginning)
  <time>     the first message written at or after it: 2026-07-01, 2026-07-01T08:00 (here), 2026-07-01T08:00:00Z
  +n, -n     so many offsets on or back from what is committed; not farther than the log goes

Shows what it would do, and asks. Nothing is changed for any partition when one of them can't be put there.
A partition that runs ends its chunk in hand and goes on from the new position. Idempotency keys of messages handled
again differ from before. Paused partitions stay paused. What was handled but is not committed yet is handled again, too.
Numbers are upper bounds where offsets have gaps (those of Postgres streams always do).

Examples:
  $ tidemark reset --group billing --to 2026-07-01T08:00:00Z --dry-run
  $ tidemark reset --group billing --stream orders --partition 3 --to 1400 --why 'wrong tax rate, see #212'
  $ tidemark reset --group billing --to -1000 --yes
  $ tidemark pause -g billing && tidemark reset -g billing --to first && tidemark resume -g billing`,
    )
    .action(({ to: target, partition, group, stream, ...options }: MoveOptions & { to: string }) => {
      const to = parseTarget(target)
      const wanted = { group, ...(stream === undefined ? {} : { stream }) }
      return move('reset', { ...options, ...wanted }, (session) =>
        planResetIn(session, { ...wanted, to, ...(partition ? { partitions: partition } : {}) }),
      )
    })
}
