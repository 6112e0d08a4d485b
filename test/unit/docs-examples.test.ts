import { readdir, readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'

/** A code block that is a whole file begins with the file's path. */
const block = /```ts\n\/\/ (examples\/[\w./-]+)\n([\s\S]*?)```/g

it('code blocks of the docs that name a file are that file', async () => {
  const pages = [
    'README.md',
    ...(await readdir('docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`),
  ]
  let found = 0
  for (const page of pages)
    for (const [, path, code] of (await readFile(page, 'utf8')).matchAll(block)) {
      expect(code, `${page}: ${path}`).toBe(await readFile(path!, 'utf8'))
      found++
    }
  expect(found).toBeGreaterThan(4)
})

it("the README's first files are those that `tidemark init` writes", async () => {
  const readme = await readFile('README.md', 'utf8')
  for (const path of ['common/billing.ts', 'kafka/tidemark.config.ts']) {
    const text = await readFile(`templates/${path}`, 'utf8')
    expect(readme).toContain(`\`\`\`ts\n// ${path.split('/')[1]}\n${text}\`\`\``)
  }
})
