import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { hasClassArchive } from '../../src/local/class-archive.js'
import { silent } from '../../src/local/progress.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-classes-'))
})
afterEach(() => rm(folder, { recursive: true }))

/** A program that archives its classes as Java does; `ends` is how it ends then. */
function program(ends: () => void = () => {}) {
  const starts: (readonly string[])[] = []
  const work = async (options: readonly string[]) => {
    starts.push(options)
    const [file] = options.flatMap((option) => option.split('-XX:ArchiveClassesAtExit=').slice(1))
    await writeFile(file!, 'classes')
    ends()
  }
  return { starts, work }
}
const failing = () => {
  throw new Error('it was killed')
}

it('classes are archived once', async () => {
  const { starts, work } = program()
  for (let start = 0; start < 2; start++) expect(await hasClassArchive(folder, work, silent)).toBe(true)
  expect(starts).toHaveLength(1)
})

it('half an archive is none, and is tried once', async () => {
  const { starts, work } = program(failing)
  for (let start = 0; start < 2; start++) expect(await hasClassArchive(folder, work, silent)).toBe(false)
  expect(starts).toHaveLength(1)
})

it('a cache that cannot be written to is no reason not to start', async () => {
  const file = join(folder, 'file')
  await writeFile(file, '')
  const { starts, work } = program()
  expect(await hasClassArchive(join(file, 'jars'), work, silent)).toBe(false)
  expect(starts).toEqual([])
})
