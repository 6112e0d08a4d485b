import { afterAll, beforeAll, expect, it } from 'vitest'
import { Project, refused } from '../support/cli.js'
import { configOf } from '../support/config-text.js'
import { produce, rowsOf } from '../support/consume.js'
import { type FreshDatabase, freshDatabase } from '../support/fresh-database.js'
import { describeWith, part } from '../support/parts.js'
import { createTopic, kafkaClient } from '../support/topics.js'
import { unique } from '../support/unique.js'

describeWith(['temporal', 'postgres', 'kafka'], 'a group that takes over from another consumer of a topic', () => {
  let database: FreshDatabase
  let project: Project
  const topic = unique('deposits')
  const other = unique('old-bank')

  beforeAll(async () => {
    database = await freshDatabase()
    project = await Project.create({
      DATABASE_URL: database.connectionString,
      KAFKA_BROKERS: part('kafka').brokers.join(','),
    })
    await createTopic(topic, 3)
    await produce(topic, Array(300).fill('{}'), 3)
    const admin = kafkaClient().admin()
    await admin.connect()
    await admin.setOffsets({
      groupId: other,
      topic,
      partitions: [
        { partition: 0, offset: '40' },
        { partition: 2, offset: '100' },
      ],
    })
    await admin.disconnect()
    await project.write('tidemark.config.ts', configOf({ topic }))
  })
  afterAll(async () => {
    await project.close()
    await database.drop()
  })

  const adopt = (...args: string[]) => project.ask(['adopt', '--group', 'bank', ...args])
  const positions = () =>
    rowsOf(database.connectionString, 'select partition, position from tidemark.consumer_offsets order by partition')

  it('goes on where that one stands, and leaves the other partitions as they are', async () => {
    const from = ['--from', `kafka-group:${other}`]
    const dry = await project.run(['adopt', '--group', 'bank', ...from, '--dry-run'])
    expect(dry.stdout).toMatch(/\n +0 +- +40 +begins there\n +2 +- +100 +begins there\ndry run: nothing was changed\n$/)
    expect(await positions()).toEqual([])

    expect(await adopt(...from, '--yes', '--why', 'new bank')).toMatchObject({ code: 0, stderr: '' })
    expect(await positions()).toEqual([
      { partition: 0, position: '40' },
      { partition: 2, position: '100' },
    ])
    const lag = await project.ask(['lag'])
    expect(lag.stdout).toMatch(new RegExp(`^bank on ${topic}  lag 60 in 2 of 3 partitions, \\S+ behind\\n`))
    const history = await project.ask(['history'])
    expect(history.stdout).toMatch(new RegExp(`Z +0 +adopted +- +40 +\\S+: from kafka-group:${other}, new bank\\n`))
  })

  it.each([
    [['--from', 'kafka-group:nobody'], "group 'nobody' has no offsets on", 2],
    [['--from', `kafka-group:${other}`, '--partition', '1'], 'has no offset on partition 1 of', 2],
    [['--from', other], 'names no group: write kafka-group:<name>', 2],
  ] as const)('refuses %j with one line', async (args, said, code) => {
    const before = await positions()
    const ran = await adopt(...args, '--yes')
    expect(ran.stderr).toContain(said)
    expect(ran.stderr).toMatch(/^tidemark: [^\n]+\n$/)
    refused(ran, code)
    expect(await positions()).toEqual(before)
  })

  it('does not adopt from a group that is still running, and names who runs', async () => {
    const busy = unique('busy')
    const plain = kafkaClient().consumer({ groupId: busy })
    await plain.connect()
    await plain.subscribe({ topic })
    const joined = new Promise((resolve) => plain.on(plain.events.GROUP_JOIN, resolve))
    await plain.run({ eachMessage: async () => {} })
    await joined
    const before = await positions()
    const ran = await adopt('--from', `kafka-group:${busy}`, '--yes')
    await plain.disconnect()
    expect(ran.stderr).toMatch(
      /^tidemark: consumers of group busy-\w+ run on [^\n]+: kafkajs at [^\n]+Stop them first[^\n]+\n$/,
    )
    refused(ran, 1)
    expect(await positions()).toEqual(before)
  })

  it('knows the beginning of a topic that has lost its first messages', async () => {
    const admin = kafkaClient().admin()
    await admin.connect()
    await admin.fetchTopicMetadata({ topics: [topic] })
    expect((await project.ask(['reset', '--group', 'bank', '-p', '1', '--to', '0', '--yes'])).code).toBe(0)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 1, offset: '30' }] })
    await admin.disconnect()
    const lag = await project.ask(['lag'])
    expect(lag.stdout).toMatch(/\n +1 +0 +100 +100 .*the log begins at 30: what lay before it is gone\n/)
    const ran = await project.ask(['reset', '--group', 'bank', '-p', '1', '--to', '0', '--yes'])
    expect(ran.stderr).toBe(
      `tidemark: offset 0 is out of range: ${topic}[1] holds offsets 30 to 99, and the next one is 100; nothing was changed\n`,
    )
    refused(ran, 1)
  })
})
