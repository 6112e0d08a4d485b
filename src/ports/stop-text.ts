import type { GroupRecord } from './groups.js'

/** Why a group stays stopped, for people; null where it does not. */
export function stopText({ group, stream, stopped }: GroupRecord): string | null {
  if (!stopped) return null
  const { how, by, at, why } = stopped
  return (
    `group ${group} on ${stream} was ${how} in Temporal by a person at ${at.toISOString()} (${by}: ${why}), and stays stopped: ` +
    `'tidemark resume --group ${group} --stream ${stream}' starts it again`
  )
}
