import { expect, it } from 'vitest'
import { missingGroup } from '../../src/client/missing-group.js'

const names = [
  { group: 'billing', stream: 'orders' },
  { group: 'mail', stream: 'orders' },
  { group: 'mail', stream: 'refunds' },
]

it.each([
  [{ group: 'biling' }, "no group 'biling' (did you mean 'billing'?)"],
  [{ group: 'audit' }, "no group 'audit'"],
  [{ stream: 'order' }, "no group on stream 'order' (did you mean 'orders'?)"],
  [{ group: 'billing', stream: 'refunds' }, "no group 'billing' on stream 'refunds'"],
  [{ group: 'mail', stream: 'refund' }, "no group 'mail' on stream 'refund' (did you mean 'refunds'?)"],
  [{ group: 'biling', stream: 'orders' }, "no group 'biling' (did you mean 'billing'?)"],
])('names what there is not: %o', (wanted, said) => expect(missingGroup(wanted, names)).toBe(said))
