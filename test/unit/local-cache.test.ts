import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { cacheFolder, install, installedAt } from '../../src/local/cache.js'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cache-test-'))
})
afterEach(() => rm(root, { recursive: true }))

const builds = (content: string) => (folder: string) => writeFile(join(folder, 'program'), content)

test('what is installed once is not built again', async () => {
  const first = await install('tool-1', builds('first'), { root })
  const second = await install('tool-1', builds('second'), { root })
  expect(second).toBe(first)
  expect(await readFile(join(first, 'program'), 'utf8')).toBe('first')
})

test('two that want the same thing build it once', async () => {
  let built = 0
  const build = async (folder: string) => {
    built++
    await builds('x')(folder)
  }
  await Promise.all([install('tool-1', build, { root }), install('tool-1', build, { root })])
  expect(built).toBe(1)
})

test('a build that fails leaves nothing, and the next one is a fresh try', async () => {
  const fails = async (folder: string) => {
    await builds('half')(folder)
    throw new Error('no network')
  }
  await expect(install('tool-1', fails, { root })).rejects.toThrow('no network')
  expect(await readdir(root)).toEqual([])
  await install('tool-1', builds('whole'), { root })
  expect(await readdir(root)).toEqual(['tool-1'])
})

test('a folder without the stamp is not taken for an installation, but replaced', async () => {
  await mkdir(join(root, 'tool-1'))
  await builds('half')(join(root, 'tool-1'))
  expect(await installedAt('tool-1', root)).toBeUndefined()
  const folder = await install('tool-1', builds('whole'), { root })
  expect(await readFile(join(folder, 'program'), 'utf8')).toBe('whole')
})

test('what a killed installer left is swept by the next one', async () => {
  // No process has this number: Linux and macOS end far below.
  await mkdir(join(root, 'tool-1.draft-2147483647-abcd'))
  await mkdir(join(root, `tool-1.draft-${process.pid}-abcd`))
  await install('tool-1', builds('whole'), { root })
  expect(await readdir(root)).toEqual(['tool-1', `tool-1.draft-${process.pid}-abcd`])
})

test('the cache is where the system keeps caches', () => {
  expect(cacheFolder({ XDG_CACHE_HOME: '/x', HOME: '/h' }, 'linux')).toBe('/x/tidemark')
  expect(cacheFolder({ HOME: '/h' }, 'linux')).toBe('/h/.cache/tidemark')
  expect(cacheFolder({ HOME: '/h' }, 'darwin')).toBe('/h/Library/Caches/tidemark')
})
