import { existsSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { docBlocks, docPages, prose } from '../support/doc-blocks.js'
import { commandLines, refusalOf, tidemarkWords, unknownIn } from '../support/doc-commands.js'

const lines = docBlocks('sh').flatMap(({ page, text }) => commandLines(text).map((line) => ({ page, line })))
const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }

it('takes a command line apart as a shell does', async () => {
  expect(tidemarkWords("npx tidemark pause --reason 'bad deploy' # why")).toEqual(['pause', '--reason', 'bad deploy'])
  expect(tidemarkWords('LOG_LEVEL=debug tidemark lag --json | jq .')).toEqual(['lag', '--json'])
  expect(tidemarkWords('docker build -t tidemark .')).toBeNull()
  expect(await refusalOf(['reslice', '--group', 'billing'])).toMatch(/required option '--slices <count>'/)
  expect(await refusalOf(['stats'])).toMatch(/unknown command 'stats'/)
  expect(await refusalOf(['lag', '--jsn'])).toMatch(/unknown option '--jsn'/)
  expect(await refusalOf(['lag', '--json'])).toBeNull()
  expect(unknownIn(['reset', '--too'])).toBe('reset has no option --too')
})

it('commands in shell blocks are ones that Tidemark has', async () => {
  const calls = lines.flatMap(({ page, line }) => {
    const words = tidemarkWords(line)
    return words ? [{ page, line, words }] : []
  })
  expect(calls.length).toBeGreaterThan(20)
  const refused = calls.map(async ({ page, line, words }) => ({ page, line, refusal: await refusalOf(words) }))
  expect((await Promise.all(refused)).filter(({ refusal }) => refusal !== null)).toEqual([])
})

it('commands named in sentences are ones that Tidemark has', () => {
  const wrong = docPages().flatMap((page) =>
    [...prose(page).matchAll(/`((?:npx )?tidemark [^`]+)`/g)].flatMap(([, text]) => {
      const words = tidemarkWords(text!) ?? []
      const unknown = /^[<[]/.test(words[0] ?? '') ? null : unknownIn(words)
      return unknown === null ? [] : [`${page}: ${text}: ${unknown}`]
    }),
  )
  expect(wrong).toEqual([])
})

it('scripts and files that the pages run are there', () => {
  const named = docPages().flatMap((page) =>
    [...readFileSync(page, 'utf8').matchAll(/\bnpm run (?:--silent )?([\w:-]+)/g)].map(([, name]) => ({
      page,
      name: name!,
    })),
  )
  expect(named.length).toBeGreaterThan(5)
  expect(named.filter(({ name }) => scripts[name] === undefined)).toEqual([])
  const files = docPages().flatMap((page) =>
    [
      ...readFileSync(page, 'utf8').matchAll(/\b((?:examples|test|src|bench|scripts)\/[\w./-]+\.(?:m?[tj]s|json))\b/g),
    ].map(([, path]) => ({ page, path: path! })),
  )
  expect(files.length).toBeGreaterThan(10)
  expect(files.filter(({ path }) => !existsSync(path))).toEqual([])
})

it('YAML and JSON can be read', () => {
  for (const { page, line, text } of docBlocks('yaml'))
    for (const { errors } of parseAllDocuments(text)) expect(errors, `${page}:${line}`).toEqual([])
  for (const { page, line, text } of docBlocks('json')) expect(() => JSON.parse(text), `${page}:${line}`).not.toThrow()
  expect(parse(readFileSync('docker-compose.yml', 'utf8'))).toHaveProperty('services.temporal')
})
