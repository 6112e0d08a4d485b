import { transactional } from 'tidemark'

/** What an event of the demo says: somebody paid something in. */
export interface Deposit {
  readonly id: number
  readonly account: string
  readonly amount: number
}

/**
 * Writes each chunk of deposits with one statement. Whatever goes through `tx` is committed together with Tidemark's
 * progress, so a deposit is booked once, however often workers die.
 */
export const bookDeposits = transactional<Deposit>(async (messages, { tx }) => {
  await tx.query(
    `insert into deposits (id, account, amount)
     select * from unnest($1::int[], $2::text[], $3::int[])`,
    [
      messages.map(({ value }) => value.id),
      messages.map(({ value }) => value.account),
      messages.map(({ value }) => value.amount),
    ],
  )
})
