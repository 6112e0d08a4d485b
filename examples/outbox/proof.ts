import type { Shop } from './shop.js'

export interface Proof {
  /** Messages in the topic `orders`, repeats included. */
  readonly sent: number
  readonly invoices: number
  readonly ordersWithInvoice: number
  /** Events in the outbox stream. */
  readonly events: number
  /** Messages in the topic `invoices`: as many, or more when the kill fell between sending and noting that it was sent. */
  readonly told: number
  readonly ordersTold: number
  readonly idempotencyKeys: number
}

export async function count(shop: Shop): Promise<Proof> {
  const { rows } = await shop.pool.query<Pick<Proof, 'invoices' | 'ordersWithInvoice' | 'events'>>(
    `select count(*)::int as invoices, count(distinct order_id)::int as "ordersWithInvoice",
       (select count(*)::int from tidemark.events where stream = 'invoices') as events
     from invoices`,
  )
  const told = [...(await shop.told()).values()]
  const keys = told.flat()
  return {
    sent: shop.sent,
    ...rows[0]!,
    told: keys.length,
    ordersTold: told.length,
    idempotencyKeys: new Set(keys).size,
  }
}

/** One invoice and one event for each order, each told at least once, and by one idempotency key however often. */
export function right(proof: Proof, orders: number): boolean {
  const { invoices, ordersWithInvoice, events, ordersTold, idempotencyKeys } = proof
  return [invoices, ordersWithInvoice, events, ordersTold, idempotencyKeys].every((number) => number === orders)
}
