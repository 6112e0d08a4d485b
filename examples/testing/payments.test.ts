import { type TidemarkMatchers, testConsumer, tidemarkMatchers } from 'tidemark/testing'
import { expect, it, vi } from 'vitest'
import { type Payment, paymentsConfig } from './payments.js'

declare module 'vitest' {
  interface Matchers<T> extends TidemarkMatchers<T> {}
}
expect.extend(tidemarkMatchers)

it('charges a payment once the gateway is back after three days, and mails the receipt', async () => {
  let away = true
  const charged: string[] = []
  const mailed: Payment[] = []
  const charge = async ({ id }: Payment) => {
    if (away) throw new Error('the gateway is away')
    charged.push(id)
  }
  await using t = await testConsumer(paymentsConfig(charge, (receipt) => void mailed.push(receipt)))

  await t.append('payments', [{ key: 'ann', value: { id: 'p1', amount: 5 } }])
  await t.advance('3 days')
  expect(t.calls.length).toBeGreaterThan(20)
  expect(mailed).toEqual([])

  away = false
  await t.advance('4h')
  expect(charged).toEqual(['p1'])
  expect(mailed).toEqual([{ id: 'p1', amount: 5 }])
  await expect(t).toBeCaughtUp()
})

it('a worker that is killed while it charges has sent no receipt, and the next one charges again', async () => {
  const charged: string[] = []
  const mailed: Payment[] = []
  let answer = () => {}
  const answers = new Promise<void>((resolve) => {
    answer = resolve
  })
  const charge = async ({ id }: Payment) => {
    charged.push(id)
    await answers
  }
  await using t = await testConsumer(paymentsConfig(charge, (receipt) => void mailed.push(receipt)))

  await t.append('payments', [{ key: 'ann', value: { id: 'p1', amount: 5 } }])
  await vi.waitFor(() => expect(charged).toEqual(['p1']))
  await t.kill()
  answer()
  await t.restart()
  await t.advance('10s')

  expect(charged).toEqual(['p1', 'p1'])
  expect(mailed).toEqual([{ id: 'p1', amount: 5 }])
})
