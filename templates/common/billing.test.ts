import { readFileSync } from 'node:fs'
import { testConsumer } from 'tidemark/testing'
import { expect, it } from 'vitest'
import config from './tidemark.config.js'

const setup = readFileSync(new URL('schema.sql', import.meta.url), 'utf8')

it('writes one invoice for each order, also where a try fails', async () => {
  await using t = await testConsumer(config, { setup })
  t.failNext(new Error('the database is away'))
  await t.append([{ key: 'ann', value: { id: 'order-1', amount: 5 } }])
  await t.advance('1 minute')
  expect(await t.effects('select * from invoices')).toEqual([{ order_id: 'order-1', amount: 5 }])
})
