import { PassThrough } from 'node:stream'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { agreed } from '../../src/cli/pause.js'

const consumers = ['orders', 'payments'].map((stream) => ({ settings: { group: 'bank', stream } }))

describe('pausing all groups of a config', () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  /** Somebody sits at a terminal and types. */
  function typed(line: string): { readonly asked: () => string } {
    const stdin = Object.assign(new PassThrough(), { isTTY: true })
    vi.spyOn(process, 'stdin', 'get').mockReturnValue(stdin as unknown as typeof process.stdin)
    const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    stdin.end(line)
    return { asked: () => said.mock.calls.map(([text]) => text).join('') }
  }

  it.each([
    ['y\n', true],
    ['yes\n', true],
    ['n\n', false],
    ['', false],
  ])('asks at a terminal, and takes %j for %s', async (line, answer) => {
    const { asked } = typed(line)
    expect(await agreed(consumers, {})).toBe(answer)
    expect(asked()).toBe('pause all 2 groups of the config (bank on orders, bank on payments)? [y/N] ')
  })

  it.each([
    ['a group', { group: 'bank' }],
    ['a stream', { stream: 'orders' }],
    ['a partition', { partition: [0] }],
    ['yes', { yes: true }],
  ])('asks nobody who says %s', async (_, options) => {
    const { asked } = typed('n\n')
    expect(await agreed(consumers, options)).toBe(true)
    expect(asked()).toBe('')
  })

  it('asks nobody where the config has one group', async () => {
    const { asked } = typed('n\n')
    expect(await agreed(consumers.slice(0, 1), {})).toBe(true)
    expect(asked()).toBe('')
  })
})
