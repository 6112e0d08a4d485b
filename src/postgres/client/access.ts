import { TidemarkError } from '../../model/errors.js'

/** What a server tells about itself. `standby` and `read_only` as booleans. */
export const accessQuery = `select pg_is_in_recovery() as standby, current_setting('transaction_read_only') = 'on' as read_only`

export interface Access {
  readonly standby: boolean
  readonly read_only: boolean
}

/**
 * Whether a statement failed because the server takes no writes. It was the primary when the worker started, so a fail-over is under way,
 * or the address names the old primary.
 */
export function isReadOnly(error: unknown): boolean {
  const code = codeOf(error)
  // Postgres's own, and the one of `safe_position`.
  if (code === '25006' || code === 'TM002') return true
  // BEGIN READ WRITE on a standby has no code of its own, and its text may be in any language: a setting that can't be made.
  return code === '0A000' && Reflect.get(error as object, 'routine') === 'call_bool_check_hook'
}

/** The SQLSTATE or the code of a system call, where a thrown thing has one. */
export function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null ? String(Reflect.get(error, 'code') ?? '') : ''
}

/**
 * Why Tidemark can't work with a database that answered so, or null where it can. A standby may be promoted a moment later, so that is
 * worth a wait; what people have set is not.
 */
export function refusalOf({ standby, read_only }: Access, where: string, user: string): TidemarkError | null {
  if (standby)
    return new TidemarkError(
      'UNREACHABLE',
      `${where} is a standby (a replica): Tidemark writes to its tables, and a standby takes no writes and passes on no notifications; name the primary in the connection string`,
    )
  if (!read_only) return null
  return new TidemarkError(
    'CONFIG_INVALID',
    `${where} starts the transactions of user '${user}' read-only, and Tidemark writes to its tables: default_transaction_read_only is on for the user, the database or the server. ` +
      `Switch it off for this user: alter role "${user}" set default_transaction_read_only = off`,
  )
}

/** A server that took writes before, and now refuses them. */
export function writesRefused(where: string, cause: unknown): TidemarkError {
  return new TidemarkError(
    'UNREACHABLE',
    `${where} takes no writes now: it is a standby (after a fail-over?), or default_transaction_read_only was switched on. Trying again until the address leads to a primary that takes them`,
    { cause },
  )
}

/** SQLSTATEs of a login that the server refuses. */
const noLogin = new Set(['28P01', '28000'])

export function isLoginRefused(error: unknown): boolean {
  return noLogin.has(codeOf(error))
}

/** A server that let this user in before. A person mends that; until then it is an outage, as if nobody answered. */
export function loginRefused(where: string, said: string, cause: unknown): TidemarkError {
  return new TidemarkError(
    'UNREACHABLE',
    `${where} lets this user in no longer (${said}): was its password changed, or the user renamed? Trying again; ` +
      'give the worker the new connection string and restart it, or let the old one work again',
    { cause },
  )
}
