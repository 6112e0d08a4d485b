import { setTimeout as sleep } from 'node:timers/promises'
import { createStream } from 'tidemark/postgres'
import { waitFor } from '../../support/wait-for.js'
import type { Ground } from '../ground.js'
import type { Workers } from '../workers.js'
import { combinations } from './combinations.js'

/** What one combination came to. */
export interface Row {
  readonly consumer: string
  readonly lost: number
  readonly duplicates: number
  /** Greatest number of duplicates that its strategy allows: its window, once for each partition and kill. */
  readonly allowed: number
}

/** Fills a Postgres stream as the topic is filled. */
export async function prepareMatrix({ pool, parts, topic, partitions }: Ground, messages: number): Promise<void> {
  await createStream(parts.databaseUrl, { stream: topic, partitions })
  await pool.query(
    `insert into tidemark.events (stream, partition, data)
     select $1, n % $2, to_jsonb(n) from generate_series(1, $3) n`,
    [topic, partitions, messages],
  )
  await pool.query('create table matrix_effects (consumer text not null, partition int not null, off bigint not null)')
}

/** Kills the worker of all combinations at random moments, lets the last one finish, and counts. */
export async function playMatrix(
  ground: Ground,
  workers: Workers,
  options: { readonly kills: number; readonly random: () => number; readonly say: (text: string) => void },
): Promise<Row[]> {
  const { pool } = ground
  const effects = async () => (await pool.query<{ n: number }>('select count(*)::int n from matrix_effects')).rows[0]!.n
  for (let kill = 1; kill <= options.kills; kill++) {
    const worker = workers.start()
    const before = await effects()
    // Each combination has had something to do, as far as one number can tell.
    await waitFor(async () => (await effects()) > before + combinations.length * 20, {
      timeout: 60_000,
      what: 'effects of a new worker',
    })
    await sleep(options.random() * 1_000)
    workers.kill(worker)
    options.say(`kill ${kill} of ${options.kills}: ${await effects()} effects`)
  }
  workers.start()
  await waitFor(async () => (await count(ground, options)).every(({ lost }) => lost === 0), {
    timeout: 180_000,
    what: 'the rest of the effects',
  })
  return count(ground, options)
}

async function count({ pool, messages, partitions }: Ground, { kills }: { kills: number }): Promise<Row[]> {
  const { rows } = await pool.query<{ consumer: string; effects: number; distinct: number }>(
    `select consumer, count(*)::int effects, count(distinct (partition, off))::int as distinct from matrix_effects group by consumer`,
  )
  return combinations.map(({ name, window }) => {
    const row = rows.find(({ consumer }) => consumer === name) ?? { effects: 0, distinct: 0 }
    return {
      consumer: name,
      lost: messages - row.distinct,
      duplicates: row.effects - row.distinct,
      allowed: window * partitions * kills,
    }
  })
}
