import type { WorkflowExecutionDescription } from '@temporalio/client'
import { defaultPayloadConverter } from '@temporalio/client'
import { ApplicationFailure, DefaultFailureConverter, type Payload, type PayloadCodec } from '@temporalio/common'
import { describe, expect, it } from 'vitest'
import { dataConverterOf, decoded } from '../../src/temporal/codec.js'
import { batchesAmong, longChunksOf, troubleOf } from '../../src/temporal/pending.js'
import { encrypting } from '../support/encrypting-codec.js'

const payload = (value: unknown): Payload => defaultPayloadConverter.toPayload(value)!

function codecsOf(payloadCodecs: PayloadCodec[]): PayloadCodec[] {
  return dataConverterOf({ dataConverter: { payloadCodecs } }).payloadCodecs!
}

async function encoded(value: unknown, codecs: readonly PayloadCodec[]): Promise<Payload> {
  let payloads = [payload(value)]
  for (const codec of codecs) payloads = await codec.encode(payloads)
  return payloads[0]!
}

describe("the config's codecs", () => {
  it('are undone in the opposite order', async () => {
    const codecs = codecsOf([encrypting('inner'), encrypting('outer')])
    const secret = await encoded('plain', codecs)
    expect(defaultPayloadConverter.fromPayload((await decoded([secret], codecs))[0]!)).toBe('plain')
  })

  it('are asked for where one is missing', async () => {
    const secret = await encoded('plain', codecsOf([encrypting('key')]))
    await expect(decoded([secret], codecsOf([]))).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message:
        "Temporal holds data that this config can't read (its encoding is 'binary/encrypted'): put the codec of the workers into temporal.dataConverter.payloadCodecs",
    })
  })

  it('are named where one fails, with the direction', async () => {
    const secret = await encoded('plain', codecsOf([encrypting('key')]))
    await expect(decoded([secret], codecsOf([encrypting('another key')]))).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(
        /^temporal\.dataConverter\.payloadCodecs\[0\] could not decode what Temporal holds \(.+\): has it the key that this was encoded with\?$/,
      ),
    })
    const away = { ...encrypting('key'), encode: () => Promise.reject(new Error('no key service')) }
    await expect(encoded('plain', codecsOf([away]))).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringContaining('payloadCodecs[0] could not encode what Temporal gets (no key service)'),
    })
  })
})

it('a batch between two tries says in plain text what a codec has hidden', async () => {
  const codecs = codecsOf([encrypting('key')])
  const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true })
  const failure = failureConverter.errorToFailure(
    ApplicationFailure.create({ type: 'HANDLER_FAILED', message: 'no such account' }),
    defaultPayloadConverter,
  )
  const [encodedAttributes] = await codecs[1]!.encode([failure.encodedAttributes!])
  const lastFailure = { ...failure, encodedAttributes }
  const since = '2026-01-02T03:04:05.000Z'
  const heartbeat = await encoded({ inChunkSince: { 3: since } }, codecs)
  const activity = {
    activityType: { name: 'process' },
    state: 2,
    attempt: 2,
    heartbeatDetails: { payloads: [heartbeat] },
    lastFailure,
  }
  const described = { raw: { pendingActivities: [activity] } } as unknown as WorkflowExecutionDescription
  const converter = { payloadCodecs: codecs, payloadConverter: defaultPayloadConverter, failureConverter }
  const [batch] = await batchesAmong(described, converter)
  expect(lastFailure.message).toBe('Encoded failure')
  expect(troubleOf(batch!)).toEqual({ state: 'retrying', reason: 'no such account' })
  expect(longChunksOf(batch!)).toEqual(new Map([[3, since]]))
})
