import pg from 'pg'
import { part } from './parts.js'
import { unique } from './unique.js'

export interface FreshDatabase {
  readonly connectionString: string
  /** Removes it, ending whoever is still connected. */
  drop(): Promise<void>
}

/** Creates a new, empty database on the stack's Postgres. */
export async function freshDatabase(): Promise<FreshDatabase> {
  const server = part('postgres').connectionString
  const name = unique('test').replace('-', '_')
  await execute(server, `create database ${name}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  return {
    connectionString: url.href,
    drop: () => execute(server, `drop database if exists ${name} with (force)`),
  }
}

async function execute(connectionString: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
