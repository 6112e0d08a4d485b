import { ApplicationFailure } from '@temporalio/common'
import { expect, it } from 'vitest'
import { ErrorReports } from '../../../activities/errors/reports.js'
import { reporting } from '../../../activities/failure.js'
import { TidemarkError } from '../../../src/model/errors.js'
import type { ErrorTexts } from '../../../src/model/settings.js'
import { silentLog } from '../../support/silent-log.js'

async function failure(errors: ErrorTexts, thrown: unknown): Promise<ApplicationFailure> {
  const reports = new ErrorReports({ group: 'billing', stream: 'orders', errors }, ['hunter2'], silentLog())
  const fail = () => reporting(reports, () => Promise.reject(thrown))
  return fail().catch((error: unknown) => error as ApplicationFailure)
}
const driver = () => Object.assign(new Error('SENTINEL', { cause: new Error('SENTINEL') }), { detail: 'SENTINEL' })

it('the failure of an activity has neither stack nor cause nor details, and is tried again', async () => {
  for (const errors of ['message', 'private'] as const) {
    const failed = await failure(errors, driver())
    expect(failed).toBeInstanceOf(ApplicationFailure)
    expect(failed).toMatchObject({ type: 'UNEXPECTED', nonRetryable: false, stack: '', cause: undefined })
    expect(failed.details ?? []).toEqual([])
  }
})

it('an error that nobody expected counts as one of the user', async () => {
  expect((await failure('message', driver())).message).toBe('SENTINEL')
  expect((await failure('private', driver())).message).toMatch(/^Error, error id [0-9a-f]{8}: see the worker's log$/)
})

it("a text of Tidemark's own has its code, is cut, and has no secret", async () => {
  const failed = await failure('private', new TidemarkError('UNREACHABLE', `login hunter2 ${'x'.repeat(1_000_000)}`))
  expect(failed.type).toBe('UNREACHABLE')
  expect(failed.message).toMatch(/^login \[removed\] x/)
  expect(failed.message).toHaveLength(3_000)
})
