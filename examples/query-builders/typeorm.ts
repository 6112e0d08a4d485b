import { transactional } from 'tidemark'
import { type DataSource, EntitySchema } from 'typeorm'
import type { Order } from './order.js'

export const orders = new EntitySchema<Order>({
  name: 'orders',
  columns: {
    id: { type: Number, primary: true },
    customer: { type: String },
    amount: { type: Number },
  },
})

/** @param dataSource initialized, with `orders` among its entities */
export function saveWithTypeOrm(dataSource: DataSource) {
  return transactional<Order>(async (messages, { tx }) => {
    // A query runner that has its connection already, and takes none from TypeORM's pool. It is never released.
    const runner = Object.assign(dataSource.createQueryRunner(), { databaseConnection: tx.client })
    await runner.manager.insert(
      orders,
      messages.map(({ value }) => value!),
    )
  })
}
