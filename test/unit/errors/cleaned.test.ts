import { describe, expect, it } from 'vitest'
import { cleaning } from '../../../activities/errors/cleaned.js'
import { isWellFormed } from '../../../src/ports/text.js'

const clean = cleaning(['hunter2', 'p@ss/word', 'hunter2-and-more'])

describe('a text that is shown', () => {
  it.each([
    ['a password of the config', 'login hunter2 failed', 'login [removed] failed'],
    ['one that begins with another', 'hunter2-and-more', '[removed]'],
    ['one that a URL has encoded', 'at p%40ss%2Fword and p@ss/word', 'at [removed] and [removed]'],
    ['credentials in a URL', 'get redis://me:s3cret@cache:1/0 failed', 'get redis://[removed]@cache:1/0 failed'],
    ['a token in a URL', 'https://ghp_12345@git.example/x', 'https://[removed]@git.example/x'],
  ])('has not %s', (_, text, shown) => {
    expect(clean(text, 1_000)).toBe(shown)
  })

  it.each(['https://example.com/@scope/package', 'mail jane@example.com', 'password must have 8 characters'])(
    'keeps what is harmless: %s',
    (text) => {
      expect(clean(text, 1_000)).toBe(text)
    },
  )

  it('is cut, and says how long it was', () => {
    const shown = clean('x'.repeat(5_000_000), 1_000)
    expect(shown).toHaveLength(1_000)
    expect(shown).toMatch(/x … \(5000000 characters\)$/)
    expect(clean('x'.repeat(1_000), 1_000)).toBe('x'.repeat(1_000))
  })

  it('has no piece of a secret that stands at the cut', () => {
    for (let before = 950; before < 1_010; before++) {
      const shown = clean(`${'x'.repeat(before)}hunter2${'y'.repeat(500)}`, 1_000)
      expect(shown).not.toMatch(/hu|unter/)
      expect(shown.length).toBeLessThanOrEqual(1_000)
    }
  })

  it('looks no further than it shows', () => {
    let asked = 0
    const text = {
      length: 5_000_000,
      slice: (from: number, to: number) => {
        asked = Math.max(asked, to)
        return 'x'.repeat(to - from)
      },
    }
    clean(text as string, 1_000)
    expect(asked).toBeLessThan(2_000)
  })

  it('is well-formed, as Temporal wants its texts', () => {
    expect(clean('a\u0000b\ud800c\nd', 100)).toBe('a b\ufffdc\nd')
    expect(isWellFormed(clean(`${'x'.repeat(978)}😀${'y'.repeat(100)}`, 1_000))).toBe(true)
  })

  it('is itself where there are no secrets', () => {
    expect(cleaning([])('login hunter2 failed', 100)).toBe('login hunter2 failed')
    expect(cleaning(['abc'])('abc', 100)).toBe('abc')
  })
})
