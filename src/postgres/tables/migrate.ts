import type pg from 'pg'
import { TidemarkError } from '../../model/errors.js'
import { driver } from '../client/driver.js'
import { type Migration, migrations } from './migrations.js'

/** Any constant will do; it only has to be the same in every Tidemark. */
const lockSpace = 0x7469_6465

/**
 * Brings Tidemark's tables in a schema up to date. Many processes may do it at once: one works, the others wait for it.
 *
 * @throws TidemarkError SCHEMA_TOO_NEW when a newer Tidemark has changed the tables in a way this one can't work with
 */
export async function migrate(pool: pg.Pool, schema: string, known: readonly Migration[] = migrations): Promise<void> {
  const quoted = driver.escapeIdentifier(schema)
  if (await isCurrent(pool, schema, quoted, known)) return
  const client = await pool.connect()
  const onError = () => {}
  client.on('error', onError)
  let failed: Error | undefined
  try {
    // Whatever the database's default is: who waited for the lock has to see what the other one did.
    await client.query('begin isolation level read committed')
    await client.query('select pg_advisory_xact_lock($1, hashtext($2))', [lockSpace, schema])
    const { rows } = await client.query('select 1 from pg_namespace where nspname = $1', [schema])
    if (rows.length === 0) await client.query(`create schema ${quoted}`)
    await client.query(
      `create table if not exists ${quoted}.migrations (
        id int primary key, name text not null, breaking boolean not null, applied_at timestamptz not null default now())`,
    )
    const applied = await appliedIn(client, quoted, schema, known)
    for (const migration of known.filter(({ id }) => !applied.has(id))) {
      await client.query(migration.sql.replaceAll(':schema', () => quoted))
      const { id, name, breaking } = migration
      await client.query(`insert into ${quoted}.migrations (id, name, breaking) values ($1, $2, $3)`, [
        id,
        name,
        breaking,
      ])
    }
    await client.query('commit')
  } catch (error) {
    failed = error as Error
    await client.query('rollback').catch(() => {})
    throw error
  } finally {
    client.off('error', onError)
    client.release(failed)
  }
}

async function isCurrent(pool: pg.Pool, schema: string, quoted: string, known: readonly Migration[]): Promise<boolean> {
  const { rows } = await pool.query<{ there: boolean }>(`select to_regclass($1) is not null as there`, [
    `${quoted}.migrations`,
  ])
  if (!rows[0]?.there) return false
  const applied = await appliedIn(pool, quoted, schema, known)
  return known.every(({ id }) => applied.has(id))
}

async function appliedIn(
  client: Pick<pg.Pool, 'query'>,
  quoted: string,
  schema: string,
  known: readonly Migration[],
): Promise<Set<number>> {
  const { rows } = await client.query<{ id: number; name: string; breaking: boolean }>(
    `select id, name, breaking from ${quoted}.migrations order by id`,
  )
  const newest = Math.max(0, ...known.map(({ id }) => id))
  const foreign = rows.find(({ id, breaking }) => id > newest && breaking)
  if (foreign)
    throw new TidemarkError(
      'SCHEMA_TOO_NEW',
      `schema '${schema}' was changed by a newer Tidemark (migration ${foreign.id}, ${foreign.name}); this one knows up to ${newest}: update tidemark here`,
    )
  return new Set(rows.map(({ id }) => id))
}
