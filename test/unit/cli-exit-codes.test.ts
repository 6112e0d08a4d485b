import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { exitCodeOf, fail } from '../../src/cli/fail.js'
import { tidemarkProgram } from '../../src/cli/program.js'
import { type ErrorCode, TidemarkError, UnknownName } from '../../src/model/errors.js'
import { noSuchPartition } from '../../src/model/refusals.js'

/** Thrown where a process would have ended. */
class Ended extends Error {
  constructor(readonly code: unknown) {
    super(`ended with ${code}`)
  }
}

let folder: string
let said = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-exit-'))
  await writeFile(join(folder, 'empty.csv'), 'billing,orders,0,5\n')
  await writeFile(
    join(folder, 'tidemark.config.ts'),
    `import { consumer, defineConfig } from 'tidemark'
import { kafka } from 'tidemark/kafka'
import { memoryStore } from 'tidemark/testing'
const of = (group, topic) =>
  consumer({ group, source: kafka({ brokers: ['127.0.0.1:1'], topic }), handler: async () => {} })
export default defineConfig({ store: memoryStore(), consumers: [of('billing', 'orders'), of('billing', 'refunds')] })
`,
  )
})
afterAll(() => rm(folder, { recursive: true }))

beforeEach(() => {
  said = ''
  const hear = (piece: unknown) => {
    said += piece
    return true
  }
  vi.spyOn(process, 'exit').mockImplementation((code) => {
    throw new Ended(code)
  })
  vi.spyOn(process.stderr, 'write').mockImplementation(hear)
  vi.spyOn(process.stdout, 'write').mockImplementation(() => true)
})
afterEach(() => {
  vi.restoreAllMocks()
})

/** The exit code of a command line. */
async function codeOf(line: string): Promise<unknown> {
  const config = join(folder, 'tidemark.config.ts')
  const args = line.split(' ').map((word) => (word === 'CONFIG' ? config : word.replace('FOLDER', folder)))
  try {
    await tidemarkProgram().parseAsync(args, { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof Ended) return error.code
    said += error instanceof Error ? error.message : error
    return exitCodeOf(error)
  }
}

describe('2, wrong use, is the exit code of', () => {
  it.each([
    'nosuch',
    'status extra',
    'status --nosuch',
    'groups nosuch',
    'groups members billing extra',
    'offsets nosuch',
    'completion nosuch',
    'init --source nosuch',
    'show --partition -1',
    'show --partition one',
    'show',
    'skip --partition 1',
    'reslice --slices 0',
    'history --limit 0',
    'status --watch 0',
    'lag --config /no/such/config.ts',
    'migrate --config /no/such/config.ts',
  ])('%s', async (line) => {
    expect(await codeOf(line)).toBe(2)
  })

  const unnamed = ['status', 'lag', 'cost', 'pause', 'resume', 'offsets export', 'groups', 'history']
  const moving = ['reset --to first', 'adopt', 'show -p 0', 'skip -p 0 -o 0 -r why', 'reslice --slices 2']
  const importing = 'offsets import --file FOLDER/empty.csv --dry-run'
  it.each([...unnamed, ...moving, importing])('%s with a group that is not there', async (command) => {
    expect(await codeOf(`${command} --group biling --config CONFIG`)).toBe(2)
    expect(said).toContain('biling')
  })

  it.each([...unnamed, ...moving])('%s with a stream that is not there', async (command) => {
    expect(await codeOf(`${command} --group billing --stream order --config CONFIG`)).toBe(2)
    expect(said).toContain('order')
  })

  it.each(['groups members biling', 'groups delete biling --dry-run'])('%s', async (line) => {
    expect(await codeOf(`${line} --config CONFIG`)).toBe(2)
    expect(said).toContain('biling')
  })
})

it.each<[number, unknown]>([
  [2, new UnknownName('no group', { group: 'a' })],
  [2, noSuchPartition({ stream: 'orders', partition: 3 }, '0 to 2')],
  [2, new TidemarkError('CONFIG_INVALID', 'wrong')],
  // The group is there, and does not run.
  [1, new TidemarkError('UNKNOWN_CONSUMER', 'never started')],
  ...(['UNREACHABLE', 'AUTH_FAILED', 'STREAM_NOT_FOUND', 'OUT_OF_RANGE', 'GROUP_ACTIVE'] satisfies ErrorCode[]).map(
    (code): [number, unknown] => [1, new TidemarkError(code, code)],
  ),
  [1, new TypeError('a bug')],
  [1, 'text'],
])('exit code %d for %s', (code, error) => {
  expect(exitCodeOf(error)).toBe(code)
})

describe('an error of a command that was asked for JSON', () => {
  const place = { group: 'billing', stream: 'orders', partition: 3 }
  const told = (error: unknown) => {
    expect(() => fail(error, { json: true })).toThrow(Ended)
    return JSON.parse(said)
  }

  it('is JSON, with its code and place', () => {
    expect(told(new TidemarkError('UNREACHABLE', 'nobody\nanswers', { place }))).toEqual({
      error: { code: 'UNREACHABLE', message: 'nobody\nanswers', ...place },
    })
    expect(said.trimEnd()).not.toContain('\n')
  })

  it('is JSON where it is a bug', () => {
    expect(told(new TypeError('a bug'))).toEqual({ error: { code: null, message: 'a bug' } })
  })
})
