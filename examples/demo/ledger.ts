import type pg from 'pg'

/** No primary key: it would refuse duplicates, and the demo wants to count them. */
const create = 'create table deposits (id int not null, account text not null, amount int not null)'

/** The proof: events have the ids 1 to $1, so a missing id is a lost event and a repeated one a duplicate. */
export const proof = `select count(*)::int as rows,
       $1::int - count(distinct id)::int as lost,
       count(*)::int - count(distinct id)::int as duplicates
  from deposits`

export interface Proof {
  readonly rows: number
  readonly lost: number
  readonly duplicates: number
}

/** The table that the demo's handler fills. */
export class Ledger {
  private constructor(private readonly pool: pg.Pool) {}

  static async create(pool: pg.Pool): Promise<Ledger> {
    await pool.query(create)
    return new Ledger(pool)
  }

  /** Rows that are committed now. */
  async rows(): Promise<number> {
    const { rows } = await this.pool.query<{ count: number }>('select count(*)::int as count from deposits')
    return rows[0]!.count
  }

  async prove(events: number): Promise<Proof> {
    const { rows } = await this.pool.query<Proof>(proof, [events])
    return rows[0]!
  }
}
