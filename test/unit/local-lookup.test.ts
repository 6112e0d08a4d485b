import { expect, test } from 'vitest'
import { firstOf } from '../../src/local/lookup.js'
import { silent } from '../../src/local/progress.js'
import { waysToTemporal } from '../../src/local/temporal-program.js'

const fails = (name: string, reason: string) => ({
  name,
  find: () => Promise.reject(new Error(reason)),
})

test('the first way that works wins, and later ones are not tried', async () => {
  let tried = 0
  const never = {
    name: 'later',
    find: async () => {
      tried++
      return 'c'
    },
  }
  const found = await firstOf('thing', [fails('a', 'no'), { name: 'b', find: async () => 'b' }, never], 'advice')
  expect(found).toBe('b')
  expect(tried).toBe(0)
})

test('when no way works the error lists each with its reason, and what to do', async () => {
  const looking = firstOf('thing', [fails('PATH', 'not there'), fails('download', 'no network')], 'Install it.')
  await expect(looking).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: 'no thing. Tried:\n  - PATH: not there\n  - download: no network\nInstall it.',
  })
})

test('Temporal is looked for where it is cheapest first, and built last', () => {
  expect(waysToTemporal(silent).map(({ name }) => name)).toEqual([
    '`temporal` on PATH',
    'an earlier download or build',
    'a download by the Temporal SDK',
    'go install temporal@v1.5.1',
  ])
})
