import { expect, it } from 'vitest'
import { planText } from '../../src/cli/groups-delete.js'
import { membersText } from '../../src/cli/groups-members.js'
import { placeIn } from '../../src/client/members.js'

const now = Date.parse('2026-07-01T08:00:00Z')

it('shows each worker with its version and what it has in hand', () => {
  const text = membersText(
    {
      group: 'billing',
      stream: 'orders',
      version: 'v7',
      members: [
        {
          identity: '4321@desk#a1b2c3',
          host: 'desk',
          pid: 4321,
          version: 'v7',
          askedAt: '2026-07-01T07:59:48Z',
          slices: [{ slice: 1, partitions: [1, 17] }],
          waits: true,
        },
        { identity: 'blue', host: 'blue', pid: null, version: null, askedAt: null, slices: [], waits: false },
      ],
    },
    now,
  )
  expect(text.split('\n')).toEqual([
    'billing on orders  config v7',
    ' PID  HOST  VERSION  ASKED  HOLDS',
    '4321  desk  v7       12s    2 partitions (1, 17) of slice 1; waits for messages',
    '   -  blue  -        -      nothing',
    '',
  ])
})

it('finds host and process in the name of a worker, also in one that people have given', () => {
  expect(placeIn('4321@desk.local#a1b2c3')).toEqual({ host: 'desk.local', pid: 4321 })
  expect(placeIn('blue-7')).toEqual({ host: 'blue-7', pid: null })
})

it('says what there is to delete, and what stays', () => {
  const plan = {
    group: 'billing',
    stream: 'orders',
    offsets: 2,
    letters: 3,
    record: true,
    workflows: ['a', 'b'],
    left: ['the rest'],
  }
  const mirrored = { where: 'kafka (brokers k:9092)', offsets: 2, canDelete: true }
  expect(planText({ ...plan, mirrored })).toBe(
    [
      'billing on orders',
      '  2 committed offsets',
      '  3 dead letters that nobody has handled, with what the messages say',
      '  its record: slices, pauses and stop',
      '  2 workflows without a worker, in Temporal',
      '  2 offsets in kafka (brokers k:9092), if you say so',
      '  stays: the rest',
      '',
    ].join('\n'),
  )
  expect(planText({ ...plan, mirrored: { ...mirrored, canDelete: false } })).toContain(
    '  stays: 2 offsets in kafka (brokers k:9092), which can not delete them\n',
  )
  expect(planText({ ...plan, letters: 0, mirrored })).not.toContain('letter')
})
