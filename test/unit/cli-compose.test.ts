import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { composeOf } from '../../src/cli/compose.js'
import { searchAttributes } from '../../src/local/temporal.js'

const whole = readFileSync(new URL('../../docker-compose.yml', import.meta.url), 'utf8')

it('takes services out of the compose file, with their volumes', () => {
  const compose = composeOf(whole, ['temporal', 'postgres'])
  expect(compose).toContain('\n  temporal:\n    image: temporalio/temporal:')
  expect(compose).toContain('\n  postgres:\n    image: postgres:')
  expect(compose).not.toMatch(/kafka|rabbitmq/)
  expect(compose.split('volumes:\n').at(-1)).toBe('  temporal:\n  postgres:\n')
})

it('registers the search attributes that a dev server of ours has', () => {
  const attributes = [...whole.matchAll(/--search-attribute=(\w+)=(\w+)/g)].map(([, name, type]) => [name, type])
  expect(Object.fromEntries(attributes)).toEqual(searchAttributes)
})
