import { describe, expect, it } from 'vitest'
import { redact } from '../../activities/handling/redact.js'
import type { Message } from '../../src/ports/index.js'

const message = (value: unknown, key: string | null = null) => ({ key, value, headers: [] }) as unknown as Message

describe('an error text', () => {
  it('loses what it quotes from a message', () => {
    const text = redact('invalid input syntax for type integer: "SECRET-17"', [message({ amount: 'SECRET-17' })])
    expect(text).toBe('invalid input syntax for type integer: "[redacted]"')
  })
  it('loses pieces of a document that JSON.parse quotes', () => {
    const text = redact(`Unexpected token 'h', "hello SENTINEL-9 wor"... is not valid JSON`, [
      message('hello SENTINEL-9 world'),
    ])
    expect(text).not.toContain('SENTINEL-9')
  })
  it('loses values deep inside, keys of messages, and numbers', () => {
    const text = redact('no 4711 for alice@example.com in order-99', [
      message({ a: [{ b: 4711, c: 'alice@example.com' }] }, 'order-99'),
    ])
    expect(text).toBe('no [redacted] for [redacted] in [redacted]')
  })
  it('keeps names of fields, tables and columns', () => {
    const text = 'null value in column "account" of relation "invoices" violates not-null constraint'
    expect(redact(text, [message({ account: null, invoices: 3 })])).toBe(text)
  })
})
