import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { cliPage } from '../../scripts/docs/cli.js'
import { configurationPage, disagreementsOf } from '../../scripts/docs/configuration.js'
import { sections } from '../../scripts/docs/sections.js'
import { consumerSchema } from '../../src/config/parse.js'
import { transactional } from '../../src/handlers/handler.js'

const stale = 'is not what the code says: run `npm run docs`'

it('docs/configuration.md is what the option interfaces and their schemas say', () => {
  expect(readFileSync('docs/configuration.md', 'utf8'), `docs/configuration.md ${stale}`).toBe(configurationPage())
})

it('docs/cli.md is what the commands say', () => {
  expect(readFileSync('docs/cli.md', 'utf8'), `docs/cli.md ${stale}`).toBe(cliPage())
})

it.each(sections)(
  '$title: each option that is declared is checked, has a docstring, and the default it names',
  (section) => {
    expect(disagreementsOf(section)).toEqual([])
  },
)

it('finds options that are declared and not checked, and the other way round', () => {
  const [, consumer] = sections
  const schema = z.strictObject({ group: z.string().default('all'), tenant: z.string() })
  const found = disagreementsOf({ ...consumer!, schema })
  expect(found).toContain('consumer: tenant is checked, not declared')
  expect(found).toContain('consumer: batch.idleGap is declared, not checked')
})

it('transactional takes no other option than the page says', () => {
  const handler = { ...transactional(() => {}), timeout: 1 }
  const { error } = consumerSchema.shape.handler.safeParse(handler)
  expect(error?.issues[0]?.message).toMatch(/unknown option 'timeout'; there are database$/)
})
