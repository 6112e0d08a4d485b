import type pg from 'pg'
import { messageOf } from '../../model/errors.js'
import type { PartitionKey } from '../../model/partition.js'
import type { DeadLetters, LetterCount, LetterFilter } from '../../ports/index.js'
import { onlyReference, strandedLetters } from '../../storing/letter-errors.js'
import { shownText } from '../../storing/shown-text.js'
import type { PostgresSettings } from '../client/options.js'
import { ownTypes } from '../client/own-types.js'
import { postgresError } from '../client/pool.js'
import { idOf, matchingLetters } from './filter.js'
import { lockStatement } from './lock.js'
import { dryRunStatement, meantPartitions, requestStatement, strandedStatement } from './request-statements.js'
import { wholeMessage } from './rows.js'

/** How long a statement may take, ms: a person may mean a million letters, or wait for the handler that is under way. */
const patience = 300_000

type Query = <R extends object>(text: string, values: readonly unknown[]) => Promise<R[]>
type Request = Parameters<DeadLetters['request']>[1]
type Requested = Awaited<ReturnType<DeadLetters['request']>>
type CountRow = { readonly [name in keyof LetterCount]: string }

/** What people ask for: each is a transaction of its own, which owners' transactions wait for. */
export class LetterRequests {
  constructor(
    private readonly pool: pg.Pool,
    private readonly settings: PostgresSettings,
    private readonly tables: { readonly letters: string; readonly partitions: string },
  ) {}

  request(filter: LetterFilter, request: Request): Promise<Requested> {
    const { letters, partitions } = this.tables
    const condition = matchingLetters(filter)
    return this.#transaction(async (query) => {
      const found = await query<PartitionKey>(meantPartitions(letters, condition), condition.values)
      if (found.length === 0) return { letters: 0, queues: 0, partitions: 0, behind: 0, owners: [] }
      const keys = [
        found.map(({ group }) => group),
        found.map(({ stream }) => stream),
        found.map(({ partition }) => partition),
      ]
      if (!request.dryRun) await query(lockStatement(partitions), keys)
      const values = [...condition.values, ...keys]
      if (request.what === 'discard' && !request.followers) {
        const [row] = await query<Stranded>(strandedStatement(letters, condition), values)
        if (row?.first) throw strandedLetters(Number(row.letters), Number(row.queues), row.first, row.first.offset)
      }
      const { by, reason, perSecond = null } = request
      const said = request.dryRun ? [] : [shownText(by), shownText(reason), perSecond]
      const statement = request.dryRun ? dryRunStatement : requestStatement
      const [row] = await query<CountRow & { owners: PartitionKey[] }>(statement(letters, condition, kindOf(request)), [
        ...values,
        ...said,
      ])
      return { ...countOf(row!), owners: row!.owners }
    })
  }

  correct(id: string, value: Buffer | null, by: string, reason: string): Promise<boolean> {
    const { letters, partitions } = this.tables
    return this.#transaction(async (query) => {
      const [found] = await query<PartitionKey & { reference: boolean; offset: string }>(
        `select "group", stream, partition, "offset", reference from ${letters} where id = $1::bigint and done_at is null`,
        [idOf(id)],
      )
      if (!found) return false
      if (found.reference) throw onlyReference(id, found, found.offset)
      await query(lockStatement(partitions), [[found.group], [found.stream], [found.partition]])
      const changed = await query(
        `update ${letters} set value = $2::bytea, bytes = coalesce(octet_length(key), 0) + coalesce(octet_length($2::bytea), 0),
           headers = case when headers = '${wholeMessage}' then '[]' else headers end, corrected = true, asked_by = $3, asked_reason = $4, version = version + 1
         where id = $1::bigint and done_at is null returning true`,
        [idOf(id), value, shownText(by), shownText(reason)],
      )
      return changed.length > 0
    })
  }

  async #transaction<T>(work: (query: Query) => Promise<T>): Promise<T> {
    let client: pg.PoolClient | undefined
    let failed: Error | undefined
    const onError = () => {}
    try {
      const opened = await this.pool.connect()
      client = opened
      const ask: Query = async <R extends object>(text: string, values: readonly unknown[]) => {
        const config = { text, values: [...values], types: ownTypes, query_timeout: patience }
        return (await opened.query(config)).rows as R[]
      }
      // A connection that breaks between two statements must not end the process; the next statement fails.
      opened.on('error', onError)
      // What comes behind the locks has to see what was done before them.
      await ask('begin isolation level read committed read write', [])
      const result = await work(ask)
      await ask('commit', [])
      return result
    } catch (error) {
      failed = error instanceof Error ? error : new Error(messageOf(error))
      throw postgresError(error, this.settings)
    } finally {
      client?.off('error', onError)
      // A connection in an open transaction is closed, which rolls it back.
      client?.release(failed)
    }
  }
}

/** What a row of `countStatement` says. */
export function countOf({ letters, queues, partitions, behind }: CountRow): LetterCount {
  return {
    letters: Number(letters),
    queues: Number(queues),
    partitions: Number(partitions),
    behind: Number(behind),
  }
}

function kindOf({ what, followers }: Request): Parameters<typeof requestStatement>[2] {
  if (what !== 'discard' || !followers) return what
  return followers === 'redrive' ? 'discardAndRedrive' : 'discardAll'
}

interface Stranded {
  readonly letters: string
  readonly queues: string
  readonly first: (PartitionKey & { readonly offset: string }) | null
}
