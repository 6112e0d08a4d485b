import { expect, it } from 'vitest'
import { docBlocks } from '../support/doc-blocks.js'
import { typeMistakes } from '../support/doc-types.js'

it('TypeScript in README and docs compiles against the package', () => {
  const blocks = docBlocks('ts')
  expect(blocks.length).toBeGreaterThan(20)
  expect(typeMistakes(blocks)).toEqual([])
})
