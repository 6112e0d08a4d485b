/* The same with node:test: `node --import tsx --test payments.node.ts` */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testConsumer } from 'tidemark/testing'
import { type Payment, paymentsConfig } from './payments.js'

test('a payment whose first two charges fail is charged by the third', async () => {
  const charged: string[] = []
  const charge = async ({ id }: Payment) => void charged.push(id)
  await using t = await testConsumer(paymentsConfig(charge, () => {}))
  t.failNext(new Error('declined for now'), { times: 2, group: 'charging' })
  await t.append('payments', [{ key: 'ann', value: { id: 'p1', amount: 5 } }])
  await t.settled()
  assert.deepEqual(charged, [])
  await t.advance('5m')
  assert.deepEqual(charged, ['p1'])
})

test('the payments of one customer are charged in their order', async () => {
  const charged: string[] = []
  const charge = async ({ id }: Payment) => void charged.push(id)
  await using t = await testConsumer(paymentsConfig(charge, () => {}))
  const payments = ['p1', 'p2', 'p3', 'p4'].map((id) => ({ key: 'ann', value: { id, amount: 5 } }))
  await t.append('payments', payments)
  await t.settled()
  assert.deepEqual(charged, ['p1', 'p2', 'p3', 'p4'])
})
