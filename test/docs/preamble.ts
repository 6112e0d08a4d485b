/*
 * What the code blocks of README.md and docs/ use without saying where it comes from: names of Tidemark's own that a page has imported further
 * up, and things of the reader's. Blocks that are whole files may use none of them.
 */
/// <reference path="./aws-signer.d.ts" />
import type * as tidemark from 'tidemark'
import type * as kafkaEntry from 'tidemark/kafka'
import type * as postgresEntry from 'tidemark/postgres'
import type * as rabbitmqEntry from 'tidemark/rabbitmq'
import type * as testingEntry from 'tidemark/testing'

declare global {
  const consumer: typeof tidemark.consumer
  const defineConfig: typeof tidemark.defineConfig
  const transactional: typeof tidemark.transactional
  const createWorker: typeof tidemark.createWorker
  const startGroups: typeof tidemark.startGroups
  const groupsFinished: typeof tidemark.groupsFinished
  const planReset: typeof tidemark.planReset
  const applyReset: typeof tidemark.applyReset
  const everyN: typeof tidemark.everyN
  const periodic: typeof tidemark.periodic
  const manual: typeof tidemark.manual
  const json: typeof kafkaEntry.json
  const kafka: typeof kafkaEntry.kafka
  const kafkaOutput: typeof kafkaEntry.kafkaOutput
  const rabbitmq: typeof rabbitmqEntry.rabbitmq
  const testConsumer: typeof testingEntry.testConsumer
  const expect: typeof import('vitest').expect
  const readFile: typeof import('node:fs/promises').readFile
  const postgresStore: typeof postgresEntry.postgresStore
  const postgresStream: typeof postgresEntry.postgresStream
  const postgresDatabase: typeof postgresEntry.postgresDatabase

  interface Order {
    id: string
    customer: string
    amount: number
    type?: string
  }
  interface Reading {
    sensor: string
    celsius: number
  }

  const config: tidemark.TidemarkConfig
  const source: tidemark.Source<Order>
  const handler: tidemark.PlainHandler<unknown>
  const store: tidemark.TidemarkOptions['store']
  const consumers: tidemark.TidemarkOptions['consumers']
  const brokers: string[]
  const topic: string
  const ca: string
  const accessToken: () => Promise<string>
  const EncryptionCodec: new (keys: unknown) => import('@temporalio/common').PayloadCodec
  const keys: unknown
  /** Sources and stores of the reader's own. */
  const pulsar: (options: object) => never
  const redisStore: (options: object) => { connect(context: unknown): Promise<never> }
  const name: string
  const url: string
  const append: never
  const drop: never
  const context: unknown
  const DATABASE_URL: string
  const connectionString: string
  const client: import('pg').ClientBase
  /** Like Express's. */
  const app: {
    get(
      path: string,
      handle: (request: unknown, response: { type(name: string): { send(body: string): void } }) => Promise<void>,
    ): void
  }
  const queue: { push(message: tidemark.Message<Order>, done: () => void): void }
  const page: (whom: string, text: string) => Promise<void>
  const mail: { send(order: Order, options: { idempotencyKey: string; signal?: AbortSignal }): Promise<void> }
  /** Like zod's. */
  const OrderSchema: {
    parse(document: unknown): Order
    safeParseAsync(
      document: unknown,
    ): Promise<{ success: true; data: Order } | { success: false; error: Error; data?: undefined }>
  }
}
