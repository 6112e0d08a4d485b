import { consumer, defineConfig } from 'tidemark'
import { kafka, kafkaOutput } from 'tidemark/kafka'
import { postgresStore } from 'tidemark/postgres'

export interface Payment {
  readonly id: string
  readonly amount: number
}

/** Takes the money. It may be away for days. */
export type Gateway = (payment: Payment) => Promise<void>

const { DATABASE_URL: connectionString = 'postgres://localhost/payments', KAFKA_BROKERS = '127.0.0.1:9092' } =
  process.env
const brokers = KAFKA_BROKERS.split(',')

/** Charges each payment, and sends a receipt for it. */
export function paymentsConfig(charge: Gateway, mail: (receipt: Payment) => void) {
  return defineConfig({
    store: postgresStore({ connectionString }),
    consumers: [
      consumer({
        group: 'charging',
        source: kafka<Payment>({ brokers, topic: 'payments' }),
        output: kafkaOutput({ brokers }),
        retry: { initialInterval: '1m', maximumInterval: '4h' },
        handler: async (payments, { produce }) => {
          for (const source of payments) {
            await charge(source.value)
            produce('receipts', { key: source.key, value: source.value, source })
          }
        },
      }),
      consumer({
        group: 'mailing',
        source: kafka<Payment>({ brokers, topic: 'receipts' }),
        handler: (receipts) => {
          for (const { value } of receipts) mail(value)
        },
      }),
    ],
  })
}
