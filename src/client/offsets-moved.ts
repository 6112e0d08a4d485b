import { TidemarkError } from '../model/errors.js'
import type { PartitionKey } from '../model/partition.js'
import { findConsumer, findConsumers, type Wanted } from './find.js'
import { distinct, matches, namesIn, requireMatch } from './group-names.js'
import type { FileOffset } from './offsets-file.js'
import type { PositionPlan } from './plan.js'
import { planOffsetsIn } from './reset.js'
import type { Session } from './session.js'

/* Positions that leave one store and come into another, or into the same one later. */

/**
 * Committed positions, of the groups of the config where none is named.
 *
 * @throws TidemarkError UNKNOWN_CONSUMER for what neither the config nor the store knows
 */
export async function exportedOffsets(
  session: Session,
  wanted: Wanted,
): Promise<readonly (PartitionKey & { readonly offset: bigint })[]> {
  const rows = await (await session.store()).list({})
  const own = namesIn(session.config)
  requireMatch(wanted, distinct([...rows, ...own]))
  const isOwn = (row: PartitionKey) => own.some((name) => matches(name, row))
  return rows
    .filter((row) => matches(wanted, row) && (wanted.group !== undefined || isOwn(row)))
    .map(({ group, stream, partition, position }) => ({ group, stream, partition, offset: position }))
}

/**
 * What it means to put groups where a file says, each as a reset. Changes nothing.
 *
 * @throws TidemarkError as `planReset`; UNKNOWN_CONSUMER for groups and streams that the config does not have; CONFIG_INVALID where the
 * file does not name the group and it could be several
 */
export async function planImport(
  session: Session,
  offsets: readonly FileOffset[],
  wanted: Wanted,
): Promise<readonly PositionPlan[]> {
  const named = offsets
    .filter((row) => matches(wanted, { ...row, group: row.group ?? wanted.group ?? '' }))
    .map(({ group, stream, partition, offset }) => {
      const asked = group ?? wanted.group
      const { settings } = findConsumer(session.config, { stream, ...(asked === undefined ? {} : { group: asked }) })
      return { group: settings.group, stream, partition, offset }
    })
  if (named.length === 0) {
    const { group, stream } = findConsumers(session.config, wanted)[0]!.settings
    throw new TidemarkError('CONFIG_INVALID', `the file has no offsets of group ${group} on ${stream}`)
  }
  return Promise.all(
    distinct(named).map((name) => {
      const theirs = named.filter((row) => matches(name, row))
      return planOffsetsIn(session, { ...name, offsets: new Map(theirs.map((row) => [row.partition, row.offset])) })
    }),
  )
}
