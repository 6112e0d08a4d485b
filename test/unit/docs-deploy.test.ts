import { existsSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { fieldsOf } from '../../scripts/docs/fields.js'
import { configSchema } from '../../src/config/parse.js'
import { parseDuration } from '../../src/model/units.js'
import { docBlocks } from '../support/doc-blocks.js'
import { refusalOf } from '../support/doc-commands.js'

interface Deployment {
  readonly spec: { readonly template: { readonly spec: PodSpec } }
}
interface PodSpec {
  readonly terminationGracePeriodSeconds: number
  readonly containers: readonly {
    readonly command: readonly string[]
    readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
    readonly livenessProbe: Probe
    readonly readinessProbe: Probe
    readonly securityContext: { readonly readOnlyRootFilesystem: boolean }
  }[]
}
interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
}

const block = (language: string, start: string) =>
  docBlocks(language).find(({ page, text }) => page === 'docs/deploy.md' && text.includes(start))!.text
const shutdownTimeout = fieldsOf(configSchema).find(({ name }) => name === 'shutdownTimeout')!.fallback as string
const leastPatience = parseDuration(shutdownTimeout)! / 1000

/** A command that gets signals itself, and that Tidemark understands. */
async function expectStart([program, script, ...words]: readonly string[]) {
  expect(program).toMatch(/^(\/usr\/bin\/)?node$/)
  expect(script).toBe('node_modules/tidemark/bin/tidemark.js')
  expect(existsSync('bin/tidemark.js')).toBe(true)
  expect(words[0]).toBe('start')
  expect(await refusalOf(words)).toBeNull()
}

it('the manifest waits for longer than a worker takes to stop, writes nothing, and probes its own port', async () => {
  const { spec } = (parse(block('yaml', 'kind: Deployment')) as Deployment).spec.template
  const [worker] = spec.containers
  expect(spec.terminationGracePeriodSeconds).toBeGreaterThan(leastPatience)
  expect(worker!.securityContext.readOnlyRootFilesystem).toBe(true)
  const { livenessProbe, readinessProbe, ports, command } = worker!
  await expectStart(command)
  expect([livenessProbe.httpGet.path, readinessProbe.httpGet.path]).toEqual(['/livez', '/readyz'])
  for (const { httpGet } of [livenessProbe, readinessProbe]) {
    const { containerPort } = ports.find(({ name }) => name === httpGet.port)!
    expect(command.at(-1)).toBe(`0.0.0.0:${containerPort}`)
  }
})

it('the unit of systemd waits for longer than a worker takes to stop', async () => {
  const unit = block('ini', '[Service]')
  expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)![1])).toBeGreaterThan(leastPatience)
  await expectStart(/^ExecStart=(.*)$/m.exec(unit)![1]!.split(' '))
})

it('the Dockerfile of the page is the one that `tidemark init` writes, and does not run as root', async () => {
  const file = readFileSync('templates/common/Dockerfile', 'utf8').replace(/^#.*\n/gm, '')
  expect(block('dockerfile', 'FROM')).toBe(file)
  expect(file.indexOf('\nUSER node\n')).toBeGreaterThan(file.lastIndexOf('\nCOPY '))
  await expectStart(JSON.parse(/^CMD (.*)$/m.exec(file)![1]!) as string[])
})
