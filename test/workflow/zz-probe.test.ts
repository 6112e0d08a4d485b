import { expect, test } from 'vitest'
import { freshDatabase } from '../support/fresh-database.js'
import { part, describeWith } from '../support/parts.js'
describeWith(['kafka'], 'x', () => {
test('probe', async () => {
  console.log(part('temporal'), part('kafka'), part('timeSkipping'))
  const t = performance.now()
  const db = await freshDatabase()
  console.log(db.connectionString, performance.now() - t)
  await db.drop()
  console.log(performance.now() - t)
  expect(1).toBe(1)
})})
