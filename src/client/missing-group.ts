import type { GroupName } from '../model/partition.js'
import { guess } from '../options/spelling.js'

/** Says which group or stream is not among `names`, and which one may have been meant: `no group 'biling' (did you mean 'billing'?)`. */
export function missingGroup(
  { group, stream }: { readonly group?: string; readonly stream?: string },
  names: readonly GroupName[],
): string {
  const strange = group !== undefined && !names.some((name) => name.group === group)
  if (strange)
    return `no group '${group}'${asked(
      group,
      names.map((name) => name.group),
    )}`
  const streams = names.filter((name) => (group ?? name.group) === name.group).map((name) => name.stream)
  const who = group === undefined ? 'group' : `group '${group}'`
  return stream === undefined ? `no ${who}` : `no ${who} on stream '${stream}'${asked(stream, streams)}`
}

function asked(given: string, there: readonly string[]): string {
  const question = guess(given, there).replace(/^; /, '')
  return question && ` (${question})`
}
