import type pg from 'pg'
import type { GroupName, PartitionKey } from '../../model/partition.js'
import type {
  DeadLetters,
  FullLetter,
  Letter,
  LetterCount,
  LetterFailure,
  LetterFilter,
  NewLetter,
  ParkedQueues,
  Transaction,
} from '../../ports/index.js'
import { letterChanged } from '../../storing/letter-errors.js'
import { shownText } from '../../storing/shown-text.js'
import { answerTimeout, ask } from '../client/ask.js'
import { driver } from '../client/driver.js'
import type { PostgresSettings } from '../client/options.js'
import { postgresError } from '../client/pool.js'
import { GatheredStatement } from '../store/gathered-statement.js'
import { withinHandler } from '../store/transaction.js'
import { idOf, matchingLetters } from './filter.js'
import { lockStatement } from './lock.js'
import { addStatement, columnsOf, partsOf } from './new-letters.js'
import { doneStatement, dueStatement, failedStatement } from './owner-statements.js'
import { parkedStatement } from './parked.js'
import { countStatement } from './request-statements.js'
import { countOf, LetterRequests } from './requests.js'
import { contentColumns, type FullLetterRow, fullLetterOf, type LetterRow, letterColumns, letterOf } from './rows.js'

type Own = Pick<Transaction, 'query'>
type ParkedStatement = GatheredStatement<{ readonly key: PartitionKey }, PartitionKey, ParkedQueues>

/** The table `dead_letters`. */
export class PostgresLetters implements DeadLetters {
  readonly #letters: string
  readonly #partitions: string
  readonly #parked: ParkedStatement
  readonly #requests: LetterRequests
  /** By partition, the versions of the letters that `due` gave last. One that a person has changed since is another letter. */
  readonly #given = new Map<string, ReadonlyMap<string, number>>()

  constructor(
    private readonly pools: { readonly pool: pg.Pool; readonly control: pg.Pool },
    private readonly settings: PostgresSettings,
  ) {
    const schema = driver.escapeIdentifier(settings.schema)
    this.#letters = `${schema}.dead_letters`
    this.#partitions = `${schema}.dead_letter_partitions`
    this.#parked = new GatheredStatement(pools.control, settings, parkedStatement(this.#letters)) as ParkedStatement
    const tables = { letters: this.#letters, partitions: this.#partitions }
    this.#requests = new LetterRequests(pools.pool, settings, tables)
  }

  parked(key: PartitionKey): Promise<ParkedQueues> {
    return this.#parked.ask({ key })
  }

  async add(tx: Transaction, key: PartitionKey, letters: readonly NewLetter[]): Promise<void> {
    if (letters.length === 0) return
    await this.#within(tx, key, async (own) => {
      const text = addStatement(this.#letters)
      for (const part of partsOf(letters)) await own.query(text, [...namesOf(key), ...columnsOf(part)])
    })
  }

  async due(
    key: PartitionKey,
    { now, limit, bytes = 16 * 1024 * 1024 }: Parameters<DeadLetters['due']>[1],
  ): Promise<{ readonly letters: readonly FullLetter[]; readonly perSecond: number | null }> {
    type Row = FullLetterRow & { readonly per_second: string | null }
    const rows = await this.#ask<Row>(dueStatement(this.#letters), [...namesOf(key), Math.floor(now), limit, bytes])
    if (rows.length === 0) this.#given.delete(nameOf(key))
    else this.#given.set(nameOf(key), new Map(rows.map(({ id, version }) => [id, version])))
    const rates = rows.flatMap(({ per_second }) => (per_second === null ? [] : [Number(per_second)]))
    return { letters: rows.map(fullLetterOf), perSecond: rates.length === 0 ? null : Math.min(...rates) }
  }

  async done(tx: Transaction, key: PartitionKey, ids: readonly string[]): Promise<readonly string[]> {
    if (ids.length === 0) return []
    return this.#within(tx, key, async (own) => {
      const versions = ids.map((id) => this.#versionOf(key, id))
      const { rows } = await own.query<{ done: string; emptied: string }>(doneStatement(this.#letters), [
        ...namesOf(key),
        ids.map(idOf),
        versions,
      ])
      if (Number(rows[0]!.done) !== new Set(ids).size) throw letterChanged(key, ids)
      return JSON.parse(rows[0]!.emptied) as string[]
    })
  }

  async failed(
    tx: Transaction,
    key: PartitionKey,
    id: string,
    failure: LetterFailure,
    dueAt: number | null = null,
  ): Promise<void> {
    const { class: kind, code, error, tries, firstAt, lastAt } = failure
    await this.#within(tx, key, async (own) => {
      const { rowCount } = await own.query(failedStatement(this.#letters), [
        ...[...namesOf(key), idOf(id), this.#versionOf(key, id), dueAt],
        ...[kind, code === null ? null : shownText(code), shownText(error), tries, firstAt, lastAt],
      ])
      if (rowCount === 0) throw letterChanged(key, [id])
    })
  }

  async list(
    filter: LetterFilter,
    { limit, after }: { readonly limit: number; readonly after?: string },
  ): Promise<readonly Letter[]> {
    const { where, values } = matchingLetters(filter)
    const order = '"group", stream, partition, "offset", id'
    const [count, last] = [`$${values.length + 1}`, `$${values.length + 2}`]
    const rows = await this.#ask<LetterRow>(
      `select ${letterColumns} from ${this.#letters} where ${where}
         ${after === undefined ? '' : `and (${order}) > (select ${order} from ${this.#letters} where id = ${last}::bigint)`}
       order by ${order} limit ${count}`,
      [...values, limit, ...(after === undefined ? [] : [idOf(after)])],
    )
    return rows.map(letterOf)
  }

  async count(filter: LetterFilter): Promise<LetterCount> {
    const { where, values } = matchingLetters(filter)
    const text = countStatement(`${this.#letters} where ${where}`)
    const [row] = await this.#ask<{ letters: string; queues: string; partitions: string; behind: string }>(text, values)
    return countOf(row!)
  }

  async read(id: string): Promise<FullLetter | null> {
    const text = `select ${letterColumns}, ${contentColumns} from ${this.#letters} where id = $1::bigint`
    const [row] = await this.#ask<FullLetterRow>(text, [idOf(id)])
    return row ? fullLetterOf(row) : null
  }

  request(...asked: Parameters<DeadLetters['request']>): ReturnType<DeadLetters['request']> {
    return this.#requests.request(...asked)
  }

  correct(...asked: Parameters<DeadLetters['correct']>): Promise<boolean> {
    return this.#requests.correct(...asked)
  }

  async expire({ group, stream }: GroupName, olderThanMs: number, limit: number): Promise<number> {
    // Several workers may be at it: each takes other rows.
    const rows = await this.#ask(
      `delete from ${this.#letters} where ctid = any (array(
         select ctid from ${this.#letters} where "group" = $1 and stream = $2 and done_at is not null
           and done_at < now() - $3::float8 * interval '1 ms'
         order by done_at limit $4 for update skip locked
       )) returning true`,
      [group, stream, olderThanMs, limit],
    )
    return rows.length
  }

  /** What an owner does to its letters, in the handler's transaction and behind the partition's lock. */
  async #within<T>(tx: Transaction, key: PartitionKey, work: (own: Own) => Promise<T>): Promise<T> {
    try {
      return await withinHandler(tx, async (own) => {
        await own.query(
          lockStatement(this.#partitions),
          namesOf(key).map((name) => [name]),
        )
        return work(own)
      })
    } catch (error) {
      throw postgresError(error, this.settings)
    }
  }

  /** 0 for any. */
  #versionOf(key: PartitionKey, id: string): number {
    return this.#given.get(nameOf(key))?.get(id) ?? 0
  }

  /** On connections of the handlers: the content of letters is large, and a filter may have to look at all of them. */
  async #ask<R extends object>(text: string, values: readonly unknown[]): Promise<R[]> {
    try {
      return await ask<R & pg.QueryResultRow>(this.pools.pool, text, values, { within: answerTimeout })
    } catch (error) {
      throw postgresError(error, this.settings)
    }
  }
}

function namesOf({ group, stream, partition }: PartitionKey): readonly [string, string, number] {
  return [group, stream, partition]
}

function nameOf(key: PartitionKey): string {
  return JSON.stringify(namesOf(key))
}
