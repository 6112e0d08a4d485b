import type { Payload } from './insert.js'

const messageBytes = 200
const accounts = 1_000

/** The message of that number, as it goes into any log: 200 bytes of JSON, stamped with the time now, and a key. */
export function message(number: number): { readonly key: string; readonly value: string } {
  const account = `account-${number % accounts}`
  const payload: Payload = { account, amount: number % 97, sent: Date.now() }
  const bare = JSON.stringify({ ...payload, pad: '' })
  return { key: account, value: JSON.stringify({ ...payload, pad: 'x'.repeat(messageBytes - bare.length) }) }
}
