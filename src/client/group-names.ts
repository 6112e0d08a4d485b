import type { ParsedConfig } from '../config/parse.js'
import { UnknownName } from '../model/errors.js'
import type { GroupName } from '../model/partition.js'
import type { Wanted } from './find.js'
import { missingGroup } from './missing-group.js'

/** The groups of a config, each with its stream. */
export function namesIn({ consumers }: ParsedConfig): GroupName[] {
  return consumers.map(({ settings: { group, stream } }) => ({ group, stream }))
}

/** Each group on each stream once. */
export function distinct(rows: readonly GroupName[]): GroupName[] {
  const named = new Map(rows.map(({ group, stream }) => [JSON.stringify([group, stream]), { group, stream }]))
  return [...named.values()]
}

export function matches({ group, stream }: Wanted, name: GroupName): boolean {
  return (group ?? name.group) === name.group && (stream ?? name.stream) === name.stream
}

/** @throws TidemarkError UNKNOWN_CONSUMER, listing what there is, where none of them is wanted */
export function requireMatch(wanted: Wanted, names: readonly GroupName[]): void {
  if (names.some((name) => matches(wanted, name))) return
  const list = names.map(({ group, stream }) => `${group} on ${stream}`).join(', ') || 'nothing yet'
  const place = {
    ...(wanted.group === undefined ? {} : { group: wanted.group }),
    ...(wanted.stream === undefined ? {} : { stream: wanted.stream }),
  }
  throw new UnknownName(`there is ${missingGroup(place, names)}; there is ${list}`, place)
}
