import { transactional } from 'tidemark'

export interface Order {
  id: string
  amount: number
}

/** Writes an invoice for each order. The invoices and Tidemark's progress are one transaction. */
export const bill = transactional<Order>(async (messages, { tx }) => {
  await tx.query('insert into invoices (order_id, amount) select * from unnest($1::text[], $2::int[])', [
    messages.map(({ value }) => value.id),
    messages.map(({ value }) => value.amount),
  ])
})
