import { describe, expect, it } from 'vitest'
import { messageText } from '../../src/cli/show.js'
import { contentOf, type StoredMessage } from '../../src/client/message.js'

describe('bytes for people', () => {
  it.each([
    ['{"a":1}', 'json'],
    ['plain', 'text'],
    ['', 'text'],
  ])('are text where they are UTF-8: %j', (text, encoding) => {
    const bytes = Buffer.byteLength(text)
    expect(contentOf(Buffer.from(text), 100)).toEqual({ encoding, text, bytes, shownBytes: bytes })
  })

  it.each([Buffer.from([0xff, 0xfe]), Buffer.from('a\0b')])('are base64 where they are no text', (bytes) => {
    expect(contentOf(bytes, 100)).toMatchObject({ encoding: 'base64', text: bytes.toString('base64') })
  })

  it('are cut where there are too many, between characters, and say how many there are', () => {
    expect(contentOf(Buffer.from('aéé'), 4)).toEqual({ encoding: 'text', text: 'aé', bytes: 5, shownBytes: 3 })
    expect(contentOf(Buffer.from([0xff, 1, 2]), 2)).toMatchObject({ text: '/wE=', bytes: 3, shownBytes: 2 })
  })
})

describe('a message for people', () => {
  const message: StoredMessage = {
    group: 'billing',
    stream: 'orders',
    partition: 3,
    offset: '120',
    timestamp: '2026-07-01T08:00:00.000Z',
    key: { encoding: 'text', text: 'c-7', bytes: 3, shownBytes: 3 },
    headers: [{ name: 'trace', bytes: 16 }],
    valueBytes: 7,
  }

  it('has its place, time, key, sizes and the names of its headers', () => {
    expect(messageText(message)).toBe(
      [
        'orders[3] offset 120',
        'group      billing',
        'timestamp  2026-07-01T08:00:00.000Z',
        'key        c-7',
        'value      7 bytes',
        'headers',
        '  trace: 16 bytes',
        '',
      ].join('\n'),
    )
  })

  it('has its values where they were asked for, and says what is left out', () => {
    const content = (text: string, bytes = text.length) => ({
      encoding: 'text' as const,
      text,
      bytes,
      shownBytes: text.length,
    })
    const shown = messageText({
      ...message,
      headers: [{ name: 'trace', bytes: 2, value: content('ab') }],
      value: content('{"a":', 7),
    })
    expect(shown).toContain('\n  trace: ab\n')
    expect(shown).toMatch(/\n\n\{"a":\n\(the first 5 bytes of 7: --payload and --max-size show more\)\n$/)
  })

  it('keeps its columns in a narrow window, whatever its key and headers are', () => {
    const long = (text: string) => ({ encoding: 'text' as const, text, bytes: 5_000, shownBytes: text.length })
    const text = messageText(
      {
        ...message,
        key: long('k'.repeat(60)),
        headers: [
          { name: 'trace', bytes: 5_000, value: long('h'.repeat(60)) },
          { name: 'none', bytes: null },
        ],
        valueBytes: 5_242_892,
      },
      40,
    )
    const lines = text.split('\n')
    expect(lines.filter((line) => line.length > 40)).toEqual([])
    expect(lines).toContain(`key        ${'k'.repeat(29)}`)
    expect(lines).toContain(`           ${'k'.repeat(29)}`)
    expect(lines).toContain('  none: null')
    expect(lines).toContain('value      5242892 bytes')
    expect(text.replace(/\n +/g, '')).toContain('(the first 60 bytes of 5000: --payload and --max-size show more)')
  })

  it('sends no commands to the terminal', () => {
    const key = { encoding: 'text' as const, text: '\x1b[31mred\x9b\r', bytes: 9, shownBytes: 9 }
    expect(messageText({ ...message, key })).toContain('key        \\x1b[31mred\\x9b\\x0d\n')
  })
})
