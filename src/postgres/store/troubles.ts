import type pg from 'pg'
import type { PartitionKey } from '../../model/partition.js'
import type { FencingToken } from '../../model/token.js'
import type { Trouble } from '../../model/trouble.js'
import type { TroubleLog } from '../../ports/index.js'
import { shownTrouble } from '../../storing/shown-trouble.js'
import { driver } from '../client/driver.js'
import type { PostgresSettings } from '../client/options.js'
import { GatheredStatement, keyArrays, keyColumns } from './gathered-statement.js'

interface Asked {
  readonly key: PartitionKey
}
interface Written extends Asked {
  readonly token: FencingToken
  readonly trouble: Trouble | null
}
type Row = PartitionKey & { readonly trouble: Trouble }

/** The table `consumer_troubles`. */
export class PostgresTroubles implements TroubleLog {
  readonly #reads: GatheredStatement<Asked, Row, Trouble | null>
  readonly #writes: GatheredStatement<Written, PartitionKey, void>

  /** @param control for control statements */
  constructor(control: pg.Pool, settings: PostgresSettings) {
    const table = `${driver.escapeIdentifier(settings.schema)}.consumer_troubles`
    this.#reads = new GatheredStatement(control, settings, {
      text: `
        select ${keyColumns}, trouble
        from ${table} join unnest(${keyArrays}) as asked (${keyColumns}) using (${keyColumns})
        where trouble is not null`,
      columns: () => [],
      answer: (row) => row?.trouble ?? null,
    })
    this.#writes = new GatheredStatement(control, settings, {
      text: `
        insert into ${table} as stored (${keyColumns}, epoch, batch, attempt, trouble)
          select ${keyColumns}, epoch, batch, attempt, nullif(trouble, '')::jsonb
          from unnest(${keyArrays}, $4::bigint[], $5::bigint[], $6::int[], $7::text[])
            as asked (${keyColumns}, epoch, batch, attempt, trouble)
          order by ${keyColumns}
        on conflict (${keyColumns}) do update set
          epoch = excluded.epoch, batch = excluded.batch, attempt = excluded.attempt, trouble = excluded.trouble, updated_at = now()
        where (stored.epoch, stored.batch, stored.attempt) <= (excluded.epoch, excluded.batch, excluded.attempt)`,
      columns: ({ token: { epoch, batch, attempt }, trouble }) => [
        epoch,
        batch,
        attempt,
        trouble ? JSON.stringify(shownTrouble(trouble)) : '',
      ],
      answer: () => {},
    })
  }

  read(key: PartitionKey): Promise<Trouble | null> {
    return this.#reads.ask({ key })
  }

  write(key: PartitionKey, token: FencingToken, trouble: Trouble | null): Promise<void> {
    return this.#writes.ask({ key, token, trouble })
  }
}
