import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePorts, isFree } from '../../src/local/free-ports.js'
import { Project } from '../support/cli.js'
import { rowsOf } from '../support/consume.js'
import { waitFor } from '../support/wait-for.js'

describe('tidemark dev', () => {
  let project: Project
  let ports: number[]
  beforeAll(async () => {
    ports = await freePorts(2)
    const [temporal, postgres] = ports
    // The password has what a URL must encode.
    const connectionString = `postgres://shop:p%40ss@127.0.0.1:${postgres}/shop`
    project = await Project.create({ TEMPORAL_ADDRESS: `127.0.0.1:${temporal}`, DATABASE_URL: connectionString })
    await project.write(
      'tidemark.config.ts',
      `
      import { consumer, defineConfig, transactional } from 'tidemark'
      import { postgresStore, postgresStream } from 'tidemark/postgres'
      const connectionString = process.env.DATABASE_URL
      export default defineConfig({
        store: postgresStore({ connectionString }),
        temporal: { address: process.env.TEMPORAL_ADDRESS, namespace: 'shop' },
        consumers: [consumer({
          group: 'billing',
          source: postgresStream({ connectionString, stream: 'orders', partitions: 2 }),
          handler: transactional(async () => {}),
        })],
      })`,
    )
  })
  afterAll(() => project.close())

  it('starts what a config needs at the addresses that it names, leaves alone what runs there, and ends it all', async () => {
    const [temporal, postgres] = ports
    const addresses = [
      { server: 'temporal', address: `127.0.0.1:${temporal}` },
      { server: 'postgres', address: `127.0.0.1:${postgres}` },
    ]
    const first = project.start(['dev', '--json'])
    await waitFor(() => first.stdout.includes('\n') || first.ended, { what: 'the servers', timeout: 90_000 })
    expect(JSON.parse(first.stdout)).toMatchObject(addresses.map((one) => ({ ...one, state: 'started' })))
    const rows = await rowsOf(`postgres://shop:p%40ss@127.0.0.1:${postgres}/shop`, 'select current_user as who', [])
    expect(rows).toEqual([{ who: 'shop' }])

    const worker = project.start(['start'])
    await worker.said('took partitions 0, 1')
    const second = project.start(['dev', '--json'])
    await waitFor(() => second.stdout.includes('\n') || second.ended, {
      what: 'a look at the servers',
      timeout: 60_000,
    })
    expect(JSON.parse(second.stdout)).toMatchObject(addresses.map((one) => ({ ...one, state: 'running' })))
    expect((await second.stop()).code).toBe(0)
    expect((await worker.stop()).code).toBe(0)
    expect((await first.stop()).code).toBe(0)
    for (const port of ports) expect(await isFree(port)).toBe(true)
  })
})
