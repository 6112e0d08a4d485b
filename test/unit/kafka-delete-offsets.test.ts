import { expect, it } from 'vitest'
import { deletionRequest, readDeleted } from '../../src/kafka/client/delete-offsets.js'

it('asks Kafka to delete offsets as the protocol has it', () => {
  const body = deletionRequest({ group: 'bank', topic: 'é', partitions: [1, 258] })
  expect(body.toString('hex')).toBe(
    ['0004', '62616e6b', '00000001', '0002', 'c3a9', '00000002', '00000001', '00000102'].join(''),
  )
})

it('reads a code for the group, and one for each partition', () => {
  const body = ['0000', '00000000', '00000001', '0002', 'c3a9', '00000002', '00000001', '0000', '00000102', '0056']
  expect(readDeleted(Buffer.from(body.join(''), 'hex'))).toEqual({
    errorCode: 0,
    partitions: [
      { partition: 1, errorCode: 0 },
      { partition: 258, errorCode: 86 },
    ],
  })
  const noGroup = Buffer.from(['0045', '00000000', '00000000'].join(''), 'hex')
  expect(readDeleted(noGroup)).toEqual({ errorCode: 69, partitions: [] })
})
