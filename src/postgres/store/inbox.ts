import { hash } from 'node:crypto'
import type pg from 'pg'
import type { PartitionKey } from '../../model/partition.js'
import type { Arrivals, Inbox, Transaction } from '../../ports/index.js'
import { isWellFormed } from '../../ports/text.js'
import { answerTimeout, ask } from '../client/ask.js'
import { driver } from '../client/driver.js'
import type { PostgresSettings } from '../client/options.js'
import { postgresError } from '../client/pool.js'

/** The table `consumer_inbox`. */
export class PostgresInbox implements Inbox {
  readonly #table: string
  readonly #progress: string

  constructor(
    private readonly pool: pg.Pool,
    private readonly settings: PostgresSettings,
  ) {
    const schema = driver.escapeIdentifier(settings.schema)
    this.#table = `${schema}.consumer_inbox`
    this.#progress = `${schema}.consumer_progress`
  }

  async admit(
    tx: Transaction,
    key: PartitionKey,
    { keys, offsets }: Arrivals,
    { replay, retentionMs }: { readonly replay: number; readonly retentionMs: number },
  ): Promise<readonly number[]> {
    const scope = JSON.stringify([key.group, key.stream])
    // Arrays as text: pg would quote each element.
    const hashes = `{${keys.map((one) => hashOf(scope, one)).join()}}`
    const places = `{${offsets.join()}}`
    try {
      // All partitions put keys in by the same order, so that two with the same keys wait for each other one way only.
      const { rowCount } = await tx.query(
        `insert into ${this.#table} (key, partition, replay, "offset", expires_at)
         select m.key, $3, $4, m.off, now() + $5 * interval '1 ms'
         from unnest($1::uuid[], $2::bigint[]) m (key, off) order by m.key
         on conflict do nothing`,
        [hashes, places, key.partition, replay, retentionMs],
      )
      if (rowCount === keys.length) return []
      if (replay > 0) await this.#takeOver(tx, key, hashes, places, { replay, retentionMs })
      return await this.#known(tx, hashes, places, key.partition, replay)
    } catch (error) {
      throw postgresError(error, this.settings)
    }
  }

  async expire(limit: number): Promise<number> {
    try {
      // Several workers may be at it: each takes other rows.
      const rows = await ask(
        this.pool,
        `delete from ${this.#table} where ctid = any (array(
           select ctid from ${this.#table} where expires_at < now() order by expires_at limit $1 for update skip locked
         )) returning true`,
        [limit],
        { within: answerTimeout, rowMode: 'array' },
      )
      return rows.length
    } catch (error) {
      throw postgresError(error, this.settings)
    }
  }

  /** Makes keys this replay's own that this partition put in during an older one, where the reset went back to or later. */
  async #takeOver(
    tx: Transaction,
    { group, stream, partition }: PartitionKey,
    hashes: string,
    places: string,
    { replay, retentionMs }: { readonly replay: number; readonly retentionMs: number },
  ): Promise<void> {
    await tx.query(
      `update ${this.#table} known set replay = $4, "offset" = m.off, expires_at = now() + $5 * interval '1 ms'
       from unnest($1::uuid[], $2::bigint[]) m (key, off)
       where known.key = m.key and known.partition = $3 and known.replay < $4
         and known."offset" >= coalesce((
           select replay_from from ${this.#progress} where "group" = $6 and stream = $7 and partition = $3), 0)`,
      [hashes, places, partition, replay, retentionMs, group, stream],
    )
  }

  /**
   * What this transaction put in carries its own partition, replay and offset. Another one can have put in the same only
   * for the same message, and left it for later.
   */
  async #known(tx: Transaction, hashes: string, places: string, partition: number, replay: number): Promise<number[]> {
    const { rows } = await tx.query<{ index: number }>(
      `select (m.n - 1)::int as index
       from unnest($1::uuid[], $2::bigint[]) with ordinality m (key, off, n)
       left join ${this.#table} known on known.key = m.key
       where (known.partition, known.replay, known."offset") is distinct from ($3::int, $4::int, m.off)
       order by m.n`,
      [hashes, places, partition, replay],
    )
    // A program may have the driver read its numbers in another way.
    return rows.map(({ index }) => Number(index))
  }
}

/** 128 bits of SHA-256: nobody meets two keys with the same, and nobody can make them. */
function hashOf(scope: string, key: string): string {
  const text = scope + key
  // UTF-8 would make one key of all that it can't say.
  const exact = isWellFormed(key) ? text : Buffer.from(text, 'utf16le')
  return hash('sha256', exact, 'hex').slice(0, 32)
}
