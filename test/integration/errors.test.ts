import { afterAll, beforeAll, expect, it } from 'vitest'
import { Project, type Ran, refused } from '../support/cli.js'
import { configOf, consumerOf } from '../support/config-text.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { createTopic } from '../support/topics.js'
import { unique } from '../support/unique.js'

/** Nothing listens there. */
const nowhere = '127.0.0.1:1'

describeWith(['temporal', 'postgres', 'kafka'], 'a mistake of the user is a sentence that says what to do', () => {
  let database: FreshDatabase
  let project: Project
  const topic = unique('deposits')

  beforeAll(async () => {
    database = await freshDatabase()
    project = await Project.create({
      DATABASE_URL: database.connectionString,
      KAFKA_BROKERS: part('kafka').brokers.join(','),
    })
    await createTopic(topic, 2)
  })
  afterAll(async () => {
    await project.close()
    await database.drop()
  })

  const start = async (config: string, env: NodeJS.ProcessEnv = {}): Promise<Ran> => {
    await project.write('tidemark.config.ts', config)
    return project.run(['start'], env)
  }
  /** For a config that is refused before anything runs. */
  const startWrongly = async (config: string, env: NodeJS.ProcessEnv = {}): Promise<Ran> => {
    await project.write('tidemark.config.ts', config)
    return project.ask(['start'], env)
  }

  it('names a topic that does not exist, and how to create it', async () => {
    const missing = unique('missing')
    const ran = await start(configOf({ topic: missing }))
    expect(ran.stderr).toContain(`has no topic '${missing}': create it`)
    refused(ran, 1)
  })

  it.each([
    ['Kafka', { KAFKA_BROKERS: nowhere }, "are 'brokers' right"],
    ['Postgres', { DATABASE_URL: `postgres://someone:secret-word@${nowhere}/bank` }, 'is the address right'],
    ['Temporal', { TEMPORAL_ADDRESS: nowhere }, 'is temporal.address (or TEMPORAL_ADDRESS) right'],
  ])('waits for %s, saying so, then names its address', async (name, env, hint) => {
    const ran = await start(configOf({ topic }), env)
    const waiting = ran.stderr.split('\n').filter((line) => line.includes('"waiting ('))
    expect(waiting.length).toBeGreaterThan(0)
    expect(waiting[0]).toContain(`${name} at ${nowhere}`)
    expect(lastLine(ran)).toContain(`tidemark: ${name} at ${nowhere} can't be reached`)
    expect(lastLine(ran)).toContain(hint)
    expect(lastLine(ran)).toMatch(/\(tried for \d s; connectTimeout sets how long\)$/)
    expect(ran.stderr).not.toContain('secret-word')
    refused(ran, 1)
  })

  it('gives up waiting at once when it is told to end', async () => {
    await project.write('tidemark.config.ts', configOf({ topic }).replace("'3s'", "'10m'"))
    const waiting = project.start(['start'], { KAFKA_BROKERS: nowhere })
    await waiting.said(`Kafka at ${nowhere} can't be reached`)
    refused(await waiting.stop(), 1)
  })

  it('shows positions where Temporal can not be asked for a status, and fails for that', async () => {
    await project.write('tidemark.config.ts', configOf({ topic }))
    const ran = await project.run(['status'], { TEMPORAL_ADDRESS: nowhere })
    expect(ran.stdout).toMatch(/\n +1 +unknown /)
    expect(ran.stderr).toMatch(
      new RegExp(`^tidemark: shown is only what could be reached: Temporal at ${nowhere} can't be reached[^\\n]+\\n$`),
    )
    expect(ran.code).toBe(1)
  })

  it('names a Temporal namespace that does not exist', async () => {
    const ran = await start(configOf({ topic }), { TEMPORAL_NAMESPACE: 'nobody-made-it' })
    expect(lastLine(ran)).toContain("has no namespace 'nobody-made-it': create it")
    expect(lastLine(ran)).toContain('or correct temporal.namespace (or TEMPORAL_NAMESPACE)')
    refused(ran, 2)
  })

  it('names every wrong field of a config, what stands there and what is allowed', async () => {
    const ran = await start(
      configOf({ topic, more: "concurency: 3, heartbeatTimeout: 'soon', batch: { maxMessages: 0 }" }),
    )
    expect(ran.stderr).toContain('.batch.maxMessages: must be at least 1')
    expect(ran.stderr).toContain("'soon' is not a duration; use '250ms'")
    expect(ran.stderr).toContain("unknown option 'concurency'; did you mean 'concurrency'?")
    refused(ran, 2)
  })

  it('names a config file that is not there', async () => {
    const ran = await project.ask(['start', '--config', 'nothing.config.ts'])
    expect(ran.stderr).toMatch(/^tidemark: there is no config file \S+nothing\.config\.ts\n$/)
    refused(ran, 2)
  })

  it('says how to write a config where there is none', async () => {
    const empty = await Project.create()
    const ran = await empty.run(['start'])
    await empty.close()
    expect(ran.stderr).toMatch(/^tidemark: no tidemark\.config\.ts in \S+; write one, or name it with --config\n$/)
    refused(ran, 2)
  })

  it('asks for the default export of a config that has none', async () => {
    const ran = await startWrongly(configOf({ topic }).replace('export default', 'export const config ='))
    expect(ran.stderr).toContain('tidemark.config.ts must have defineConfig({...}) as its default export')
    refused(ran, 2)
  })

  it.each([
    ['does not parse', 'export default {', /tidemark\.config\.ts does not load: .*config\.ts:1:\d+/s],
    ['throws', 'const a: any = {}\na.b.c()\n', /tidemark\.config\.ts does not load: .*\(line 2\)/],
    ['imports what is not installed', "import 'left-pad'\n", /does not load: Cannot find (module|package) 'left-pad'/],
  ])('says where a config %s', async (_, text, said) => {
    const ran = await start(text)
    expect(ran.stderr).toMatch(said)
    refused(ran, 2)
  })

  it('refuses two consumers of one group on one stream', async () => {
    const one = consumerOf({ topic })
    const ran = await startWrongly(configOf({ consumers: [one, one] }))
    expect(ran.stderr).toContain(
      `consumers[0] and consumers[1] are the same group 'bank' on the same stream '${topic}'`,
    )
    expect(ran.stderr).toContain('give one of them another group')
    refused(ran, 2)
  })

  it('refuses a handler that is no function', async () => {
    const ran = await startWrongly(configOf({ topic, handler: "'book.ts'" }))
    expect(ran.stderr).toContain("consumers[0] (group 'bank').handler: must be a function, or transactional(function)")
    refused(ran, 2)
  })

  it('asks whether DATABASE_URL is set when it is not', async () => {
    const ran = await startWrongly(configOf({ topic }), { DATABASE_URL: undefined })
    expect(ran.stderr).toBe('tidemark: postgresStore.connectionString: must be a Postgres URL; is DATABASE_URL set?\n')
    refused(ran, 2)
  })

  it('does not wait for a wrong password to become right, and does not show it', async () => {
    const url = new URL(database.connectionString)
    url.password = 'secret-word'
    const ran = await start(configOf({ topic }), { DATABASE_URL: url.href })
    expect(ran.stderr).toMatch(
      /^tidemark: Postgres at \S+ refused this user \(.+\): check the user, its password and its rights\n$/,
    )
    expect(ran.stdout + ran.stderr).not.toContain('secret-word')
    refused(ran, 1)
  })

  it('refuses a log level that there is not', async () => {
    const ran = await startWrongly(configOf({ topic }), { LOG_LEVEL: 'loud' })
    expect(ran.stderr).toContain("LOG_LEVEL is 'loud'; use one of trace, debug, info")
    refused(ran, 2)
  })

  it.each([
    ['command', ['strat'], "unknown command 'strat'\n(Did you mean start?)\nRun 'tidemark --help'"],
    ['option', ['status', '--jsn'], "unknown option '--jsn'\n(Did you mean --json?)\nRun 'tidemark status --help'"],
    [
      'partition',
      ['pause', '--partition', 'x'],
      "a partition is a whole number from 0 up\nRun 'tidemark pause --help'",
    ],
  ])('points to the help for a wrong %s', async (_, args, said) => {
    const ran = await project.ask(args)
    expect(ran.stderr).toContain(said)
    refused(ran, 2)
  })

  it('shows its version, and in the help of each command examples and exit codes', async () => {
    expect((await project.run(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+/)
    const commands = 'start status lag groups cost pause resume reset adopt history migrate completion'.split(' ')
    for (const command of [[], ...commands.map((name) => [name])]) {
      const { code, stdout } = await project.ask([...command, '--help'])
      expect(code).toBe(0)
      expect(stdout).toContain(`\n  $ tidemark ${command.join(' ')}`)
      expect(stdout).toContain('Exit codes: 0 done, 1 failed, 2 wrong')
    }
  })
})

function lastLine({ stderr }: Ran): string {
  return stderr.trimEnd().split('\n').at(-1)!
}
