import { ApplicationFailure } from '@temporalio/common'
import { expect, it } from 'vitest'
import { held } from '../../src/model/commands.js'
import { isLeftOut, translate } from '../../src/worker/temporal-log.js'

it('a failed activity is logged with its reason, and without what only the SDK understands', () => {
  const meta = { workflowId: 'tidemark/bank/deposits/0', activityType: 'process', attempt: 3, taskToken: 'CiQw' }
  expect(translate('WARN', 'Activity failed', { ...meta, error: new Error('no such table') })).toEqual({
    level: 'warn',
    fields: { workflowId: 'tidemark/bank/deposits/0', attempt: 3 },
    text: 'process failed, try 3: no such table',
  })
})

it('an error of the SDK is its text, not its stack', () => {
  expect(translate('ERROR', 'Worker failed', { error: new Error('gone') })).toEqual({
    level: 'error',
    fields: { error: 'gone' },
    text: 'temporal: Worker failed',
  })
})

it('routine news of the SDK, and workers that are without workflows by design, are for debugging', () => {
  expect(translate('INFO', 'Worker state changed', {}).level).toBe('debug')
  expect(translate('WARN', 'No workflows registered, not polling for workflow tasks', {}).level).toBe('debug')
})

it('a batch that fails is told of its partitions and not once more, unless a person has held it', () => {
  const meta = { activityType: 'process', attempt: 1 }
  expect(
    isLeftOut('Activity failed', { ...meta, error: ApplicationFailure.retryable('no stock', 'HANDLER_FAILED') }),
  ).toBe(true)
  expect(isLeftOut('Activity failed', { ...meta, error: ApplicationFailure.retryable('paused', held) })).toBe(false)
})

it('another activity that goes on failing is told after 1, 2, 4, 8 ... tries', () => {
  const tries = Array.from({ length: 20 }, (_, index) => index + 1)
  const told = tries.filter((attempt) => !isLeftOut('Activity failed', { activityType: 'open', attempt }))
  expect(told).toEqual([1, 2, 4, 8, 16])
})
