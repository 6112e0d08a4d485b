import type { Payload } from './insert.js'

const messageBytes = 200
const accounts = 1_000

/** Tells by its number whether a message is to fail. */
export type IsPoison = (number: number) => boolean

/**
 * The message of that number, as it goes into any log: 200 bytes of JSON, stamped with the time now, and a key. Poison has an amount below 0.
 */
export function message(number: number, isPoison = false): { readonly key: string; readonly value: string } {
  const account = `account-${number % accounts}`
  const payload: Payload = { account, amount: isPoison ? -1 : number % 97, sent: Date.now() }
  const bare = JSON.stringify({ ...payload, pad: '' })
  return { key: account, value: JSON.stringify({ ...payload, pad: 'x'.repeat(messageBytes - bare.length) }) }
}
