import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { type ErrorCode, type ErrorEffect, errorCodes, TidemarkError } from '../../src/model/errors.js'

const page = readFileSync('docs/troubleshooting.md', 'utf8')
const sections = new Map(
  page
    .split(/^## /m)
    .slice(1)
    .map((section) => [section.split('\n')[0]!, section] as const),
)

/** How the page begins a section of each effect. */
const words: Record<ErrorEffect, string> = {
  retry: '**Retried.**',
  stop: '**Stops the partition.**',
  lost: '**Hands over.**',
  reopen: '**Opens again.**',
  exit: '**Ends the start.**',
}

it('docs/troubleshooting.md has a section for each error code, and no other', () => {
  expect([...sections.keys()].sort()).toEqual([...errorCodes].sort())
})

it.each([...errorCodes])('says what %s does to the work in hand', (code) => {
  const { effect } = new TidemarkError(code as ErrorCode, '')
  expect(sections.get(code)).toContain(`\n\n${words[effect]} `)
})
