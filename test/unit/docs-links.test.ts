import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { docPages, prose } from '../support/doc-blocks.js'

const decisions = readdirSync('docs/decisions').map((name) => `docs/decisions/${name}`)

/** GitHub's anchors of the headings of a page. */
function anchorsOf(page: string): ReadonlySet<string> {
  return new Set(
    [...prose(page).matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replace(/ /g, '-'),
    ),
  )
}

it('links between pages lead to files and headings that are there', () => {
  const pages = [...docPages(), ...decisions, 'CONTRIBUTING.md']
  const broken = pages.flatMap((page) =>
    [...prose(page).matchAll(/\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)/g)].flatMap(
      ([whole, path, anchor]) => {
        const target = path ? join(dirname(page), path) : page
        if (!existsSync(target)) return [`${page}: ${whole}: no such file`]
        return anchor && !anchorsOf(target).has(anchor) ? [`${page}: ${whole}: no such heading`] : []
      },
    ),
  )
  expect(broken).toEqual([])
})

it('docs/README.md names every page', () => {
  const index = readFileSync('docs/README.md', 'utf8')
  const missing = docPages().filter(
    (page) => page.startsWith('docs/') && !page.endsWith('README.md') && !index.includes(`](${page.slice(5)}`),
  )
  expect(missing).toEqual([])
})

it('finds broken links', () => {
  expect(anchorsOf('docs/status.md')).toContain('in-the-temporal-ui')
  expect(anchorsOf('docs/status.md')).not.toContain('nowhere')
})
