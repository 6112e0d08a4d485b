import type pg from 'pg'
import type { PartitionKey } from '../../model/partition.js'
import { type Answer, Gather } from '../../storing/gather.js'
import { inRounds } from '../../storing/in-rounds.js'
import { answerTimeout, ask } from '../client/ask.js'
import { driver } from '../client/driver.js'
import type { PostgresSettings } from '../client/options.js'
import { controlConnections, postgresError } from '../client/pool.js'

/** The partitions' names, as the first three parameters of a gathered statement. Aliases follow: `as asked (${keyColumns})`. */
export const keyArrays = '$1::text[], $2::text[], $3::int[]'
export const keyColumns = '"group", stream, partition'

/** A statement about many partitions. */
export interface StatementOfMany<Q, R, A> {
  /**
   * Takes arrays: `keyArrays`, then what `columns` gives. No element is null: where array_nulls is off, a null is the text NULL. The
   * statement locks rows in the order of their keys, so that two of these statements never deadlock. It returns the keys with whatever `answer` needs.
   */
  readonly text: string
  readonly columns: (question: Q) => readonly unknown[]
  /** @param row what the statement returned for the partition, if anything */
  readonly answer: (row: R | undefined, question: Q) => A | Error
}

/**
 * A statement whose calls of one turn of the event loop go out together, as one statement. Two calls about one partition are
 * two statements, one after the other.
 */
export class GatheredStatement<Q extends { readonly key: PartitionKey }, R extends PartitionKey, A> {
  readonly #gather: Gather<Q, A>

  constructor(
    private readonly control: pg.Pool,
    private readonly settings: PostgresSettings,
    private readonly statement: StatementOfMany<Q, R, A>,
  ) {
    const answer = inRounds<Q, A>(
      ({ key }) => nameOf(key),
      (questions) => this.#answer(questions),
    )
    this.#gather = new Gather(answer, { atOnce: controlConnections })
  }

  ask(question: Q): Promise<A> {
    return this.#gather.ask(question)
  }

  #answer: Answer<Q, A> = async (questions) => {
    const { text, columns, answer } = this.statement
    const values = questions.map((question) => {
      const { group, stream, partition } = question.key
      return [group, stream, partition, ...columns(question)]
    })
    const arrays = values[0]!.map((_, column) => values.map((row) => row[column]))
    try {
      const rows = await askAgain<R>(this.control, text, arrays)
      const found = new Map(rows.map((row) => [nameOf(row), row]))
      return questions.map((question) => answer(found.get(nameOf(question.key)), question))
    } catch (error) {
      if (questions.length === 1 || !isAboutValues(error)) throw postgresError(error, this.settings)
      // The statement changed nothing. Whose values they are shows in smaller ones.
      const middle = questions.length >> 1
      const halves = [questions.slice(0, middle), questions.slice(middle)]
      const outcomes: (A | Error)[] = []
      for (const half of halves)
        outcomes.push(...(await this.#answer(half).catch((failed: Error) => half.map(() => failed))))
      return outcomes
    }
  }
}

/** Runs a statement that may collide with others. It changed nothing then, and the other one has succeeded. */
export async function askAgain<R extends pg.QueryResultRow>(
  pool: pg.Pool,
  text: string,
  values: readonly unknown[],
): Promise<R[]> {
  for (;;)
    try {
      return await ask<R>(pool, text, values, { within: answerTimeout })
    } catch (error) {
      if (!(error instanceof driver.DatabaseError) || !collisions.has(error.code ?? '')) throw error
    }
}

/**
 * SQLSTATEs of a statement that collided with another one: where the database's default isolation level is above read
 * committed, and of two that waited for each other.
 */
const collisions = new Set(['40001', '40P01'])

/** Whether a statement failed because of values in it: one is out of range, too long, or breaks a constraint. */
function isAboutValues(error: unknown): boolean {
  return error instanceof driver.DatabaseError && /^(22|23|54)/.test(error.code ?? '')
}

function nameOf({ group, stream, partition }: PartitionKey): string {
  return JSON.stringify([group, stream, partition])
}
