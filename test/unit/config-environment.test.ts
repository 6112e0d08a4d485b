import { expect, it } from 'vitest'
import { temporalEnvironment } from '../../src/config/environment.js'

it('of Temporal that is empty counts as not set, as compose files have it', () => {
  expect(temporalEnvironment({ TEMPORAL_ADDRESS: '', TEMPORAL_NAMESPACE: ' ', TEMPORAL_API_KEY: '' })).toEqual({})
})

it('of Temporal is taken without the space around it', () => {
  expect(temporalEnvironment({ TEMPORAL_ADDRESS: 'temporal:7233\n' })).toEqual({ TEMPORAL_ADDRESS: 'temporal:7233' })
})

it.each(['https://billing.tmprl.cloud:7233', 'user:secret@temporal:7233', 'a b:7233'])(
  "with '%s' as Temporal's address is refused, and not shown",
  (address) => {
    const read = () => temporalEnvironment({ TEMPORAL_ADDRESS: address })
    expect(read).toThrow(/^the environment's TEMPORAL_ADDRESS must be 'host:port', like '127.0.0.1:7233'$/)
  },
)
