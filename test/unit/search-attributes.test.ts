import type { Client } from '@temporalio/client'
import { expect, it } from 'vitest'
import { ensureSearchAttributes } from '../../src/temporal/attributes.js'

/** A client of a namespace that has these search attributes, by their types' numbers, and takes new ones unless it is `closed`. */
function namespaceWith(attributes: Record<string, number>, closed = false) {
  const operatorService = {
    listSearchAttributes: async () => ({ customAttributes: attributes }),
    addSearchAttributes: async ({ searchAttributes }: { searchAttributes: Record<string, number> }) => {
      if (closed) throw new Error('permission denied')
      Object.assign(attributes, searchAttributes)
    },
  }
  return { connection: { operatorService }, options: { namespace: 'default' } } as unknown as Client
}

it('adds what the namespace lacks', async () => {
  const attributes: Record<string, number> = { TidemarkGroup: 2, Other: 1 }
  expect(await ensureSearchAttributes(namespaceWith(attributes))).toBe(true)
  expect(attributes).toEqual({
    Other: 1,
    TidemarkGroup: 2,
    TidemarkStream: 2,
    TidemarkSlice: 3,
    TidemarkState: 7,
  })
})

it('does without where it may not add them', async () => {
  expect(await ensureSearchAttributes(namespaceWith({}, true))).toBe(false)
})

it('does without where the namespace has one of another type', async () => {
  const attributes = { TidemarkState: 2 }
  expect(await ensureSearchAttributes(namespaceWith(attributes))).toBe(false)
  expect(attributes).toEqual({ TidemarkState: 2 })
})
