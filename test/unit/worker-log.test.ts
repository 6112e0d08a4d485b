import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const module = fileURLToPath(new URL('../../src/worker/log.ts', import.meta.url))

it('writes all lines in their order before a process ends that waits for them', async () => {
  // The first line waits for a thread, and the others behind it, while the process is about to end.
  const program = `
    import { pbkdf2 } from 'node:crypto'
    import { createLog, flushed } from ${JSON.stringify(module)}
    pbkdf2('password', 'salt', 50_000, 64, 'sha512', () => {})
    const log = createLog('info')
    for (const text of ['stopping', 'handed over', 'stopped']) log.info({}, text)
    await flushed(log)
    process.exit()
  `
  const args = ['--import', import.meta.resolve('tsx/esm'), '--conditions=tidemark-source', '--input-type=module']
  const env = { ...process.env, UV_THREADPOOL_SIZE: '1' }
  const { stderr } = await promisify(execFile)(process.execPath, [...args, '--eval', program], { env })
  const texts = stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).msg)
  expect(texts).toEqual(['stopping', 'handed over', 'stopped'])
})
