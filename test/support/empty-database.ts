import type pg from 'pg'
import { afterAll } from 'vitest'
import { migrate } from '../../src/postgres/tables/migrate.js'
import { type FreshDatabase, freshDatabase } from './fresh-database.js'
import { part } from './parts.js'
import { poolOf } from './pool.js'

/*
 * A new database with Tidemark's tables takes a quarter of a second, which is longer than most tests of a contract. So a file's tests have the same
 * ones in turn, each time without a row, a table or a session of the test before.
 */

interface Kept extends FreshDatabase {
  /** The same as a superuser, past whatever stands in between. */
  readonly admin: string
  /** Tidemark's tables as they were when it was new. */
  readonly schema: string
}

const idle: Kept[] = []
afterAll(() => Promise.all(idle.splice(0).map((one) => one.drop())))

/** A database in which there are Tidemark's tables, and nothing else. */
export async function emptyDatabase(): Promise<FreshDatabase> {
  const kept = idle.pop() ?? (await newOne())
  return { connectionString: kept.connectionString, drop: () => giveBack(kept) }
}

async function newOne(): Promise<Kept> {
  const fresh = await freshDatabase()
  const url = new URL(part('postgres').connectionString)
  url.pathname = new URL(fresh.connectionString).pathname
  return asking(url.href, async (pool) => {
    await migrate(pool, 'tidemark')
    return { ...fresh, admin: url.href, schema: await schemaOf(pool) }
  })
}

async function giveBack(kept: Kept): Promise<void> {
  const isEmpty = await asking(kept.admin, async (pool) => {
    await pool.query(endSessions)
    await pool.query(emptied)
    return (await schemaOf(pool)) === kept.schema
  }).catch(() => false)
  if (isEmpty) idle.push(kept)
  else await kept.drop()
}

async function asking<T>(connectionString: string, ask: (pool: pg.Pool) => Promise<T>): Promise<T> {
  // A test may have changed what new sessions of this database begin with.
  const pool = poolOf(connectionString, { max: 1, options: '-c search_path= -c default_transaction_read_only=off' })
  try {
    return await ask(pool)
  } finally {
    await pool.end()
  }
}

/** Idle ones without a lock are left: a PgBouncer has some, and lends them again. */
const endSessions = `
  select pg_terminate_backend(pid, 5000) from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
    and (state <> 'idle' or pid in (select pid from pg_locks where locktype = 'advisory'))`

const emptied = `
  do $$
  declare
    one text;
  begin
    for one in
      select format('%I.%I', schemaname, tablename) from pg_tables
      where schemaname = 'public'
    loop
      execute 'drop table ' || one || ' cascade';
    end loop;
    select string_agg(format('%I.%I', schemaname, tablename), ', ') into one from pg_tables
      where schemaname = 'tidemark' and tablename <> 'migrations';
    execute 'truncate ' || one || ' restart identity cascade';
  end $$`

/** What there is in the database, other than rows. */
async function schemaOf(pool: pg.Pool): Promise<string> {
  const { rows } = await pool.query<{ named: string }>(`
    select 'relation ' || n.nspname || '.' || c.relname || ' ' || coalesce(c.relacl::text, '') || coalesce(c.reloptions::text, '') as named
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    union all select 'column ' || attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod) || attnotnull || attisdropped
      from pg_attribute join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = c.relnamespace
      where attnum > 0 and c.relkind in ('r', 'p', 'v') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    union all select 'function ' || p.oid::regprocedure || md5(p.prosrc) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    union all select 'trigger ' || tgname from pg_trigger where not tgisinternal
    union all select 'schema ' || nspname from pg_namespace where nspname !~ '^pg_(temp|toast)'
    union all select 'constraint ' || conname from pg_constraint
    union all select 'migration ' || id from tidemark.migrations
    union all select 'setting ' || setconfig::text from pg_db_role_setting where setdatabase = (select oid from pg_database where datname = current_database())
    order by 1`)
  return rows.map(({ named }) => named).join('\n')
}
