import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { tidemarkProgram } from '../../src/cli/program.js'

let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'tidemark-init-'))
  vi.spyOn(process.stdout, 'write').mockReturnValue(true)
})
afterEach(async () => {
  vi.restoreAllMocks()
  await rm(home, { recursive: true })
})

const init = (folder: string) => tidemarkProgram().parseAsync(['init', folder], { from: 'user' })

describe('tidemark init', () => {
  it('makes the folders above its own', async () => {
    await init(join(home, 'services', 'billing'))
    expect(await readdir(join(home, 'services', 'billing'))).toContain('tidemark.config.ts')
  })

  // Node's own recursive mkdir never comes back from there.
  it.runIf(process.platform === 'linux')('ends with an error in a folder that takes no others', async () => {
    await expect(init('/proc/billing')).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/^can't make the folder \/proc\/billing: \/proc takes none \(.*; name one where/),
    })
  })

  it('names the file that stands where a folder would', async () => {
    await writeFile(join(home, 'services'), '')
    await expect(init(join(home, 'services', 'billing'))).rejects.toThrow(`${join(home, 'services')} is no folder`)
  })

  it('takes an empty name for a mistake, and not for this folder', async () => {
    await expect(init('')).rejects.toThrow("the folder's name is empty")
  })
})
