import { inspect } from 'node:util'
import type { SASLOptions } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { kafka, kafkaOutput, kafkaStore, text } from '../../src/entry/kafka.js'
import { memoryStore } from '../../src/entry/testing.js'
import type { KafkaOptions } from '../../src/kafka/client/options.js'
import { KafkaGround, readTo } from '../support/kafka-ground.js'
import { describeWith } from '../support/parts.js'
import { password, type SecuredKafka, startSecuredKafka, token } from '../support/secured-kafka.js'
import { silentLog } from '../support/silent-log.js'

describeWith(['kafka'], 'a Kafka broker that wants to know its clients', () => {
  let broker: SecuredKafka
  let ground: KafkaGround
  let topic: string

  beforeAll(async () => {
    broker = await startSecuredKafka()
    ground = await KafkaGround.on([broker.plain])
    topic = await ground.topic()
    const producer = await ground.producer()
    await producer.send({ topic, messages: [{ value: 'a' }, { value: 'b' }] })
  }, 60_000)
  afterAll(async () => {
    await ground?.close()
    await broker?.close()
  })

  async function values(options: Partial<KafkaOptions<string>>): Promise<string[]> {
    const client = await ground.connect({ topic, value: text(), ...options })
    return (await readTo(client, topic)).messages.map(({ value }) => value)
  }

  /** What is said of it where the source connects, with the log, as people would see it. */
  async function refusal(options: Partial<KafkaOptions<string>>): Promise<{ code: string; message: string }> {
    const log = silentLog()
    const source = kafka({ brokers: [broker.login], topic, ...options })
    const error = await source.connect({ log, signal: new AbortController().signal }).then(
      () => new Error('it was let in'),
      (error: unknown) => error,
    )
    const seen = inspect([error, log.lines, source], { depth: 20 })
    for (const secret of [password, 'wrong-password', 'eyJ']) expect(seen.includes(secret), seen).toBe(false)
    const { code, message } = error as Error & { code: string }
    return { code, message }
  }

  const bearer = (value: string): SASLOptions => ({
    mechanism: 'oauthbearer',
    oauthBearerProvider: async () => ({ value }),
  })
  const as = (mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512', secret = password): SASLOptions =>
    ({ mechanism, username: 'ada', password: secret }) as SASLOptions

  describe('lets in', () => {
    it.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)('a user with a password by %s', async (mechanism) => {
      const { ca, login } = broker
      expect(await values({ brokers: [login], ssl: { ca }, sasl: as(mechanism) })).toEqual(['a', 'b'])
    })

    it('a token that lasts', async () => {
      const { ca, login } = broker
      expect(await values({ brokers: [login], ssl: { ca }, sasl: bearer(token(600)) })).toEqual(['a', 'b'])
    })

    it('a certificate', async () => {
      const { ca, cert, key, mutual } = broker
      expect(await values({ brokers: [mutual], ssl: { ca, cert, key } })).toEqual(['a', 'b'])
    })

    it('the store and the output in the same ways', async () => {
      const { ca, login: address } = broker
      const cluster = { brokers: [address], ssl: { ca }, sasl: bearer(token(600)) }
      const context = { log: silentLog(), signal: new AbortController().signal }
      const store = await kafkaStore({
        ...cluster,
        sasl: as('scram-sha-512'),
        database: memoryStore().database,
      }).connect(context)
      await store.close()
      const output = await kafkaOutput(cluster).connect(context)
      await output.close()
    })

    it('whom it tells an IPv6 address', async () => {
      expect(await values({ brokers: [broker.ipv6] })).toEqual(['a', 'b'])
    })
  })

  describe('says', () => {
    it('whose certificate is not trusted, at which address', async () => {
      const { code, message } = await refusal({ sasl: as('plain'), ssl: true })
      expect(code).toBe('AUTH_FAILED')
      expect(message).toMatch(
        /^Kafka at 127\.0\.0\.1:\d+ has shown a certificate that is not trusted \(.+\): name its authority with 'ssl: \{ ca \}' in the config/,
      )
    })

    it('that it wants a certificate', async () => {
      const { code, message } = await refusal({ brokers: [broker.mutual], ssl: { ca: broker.ca } })
      expect(code).toBe('AUTH_FAILED')
      expect(message).toMatch(
        /has ended the TLS connection \(ERR_SSL_.+\): check 'ssl' in the config, and its 'cert' and 'key'/,
      )
    })

    it.each(['plain', 'scram-sha-256'] as const)('that a password is wrong by %s', async (mechanism) => {
      const { code, message } = await refusal({ ssl: { ca: broker.ca }, sasl: as(mechanism, 'wrong-password') })
      expect(code).toBe('AUTH_FAILED')
      expect(message).toContain(`refused the ${mechanism} login: check 'sasl' and 'ssl' in the config`)
    })

    it('that a token has expired', async () => {
      const { code, message } = await refusal({ ssl: { ca: broker.ca }, sasl: bearer(token(-30)) })
      expect(code).toBe('AUTH_FAILED')
      expect(message).toContain(
        'refused the token of sasl.oauthBearerProvider (invalid_token): check that it has not expired',
      )
    })

    it('that the function with the tokens has failed, or returned none', async () => {
      const away = async () => {
        throw new Error('no answer from the token endpoint')
      }
      const failed = await refusal({
        ssl: { ca: broker.ca },
        sasl: { mechanism: 'oauthbearer', oauthBearerProvider: away },
      })
      expect(failed).toEqual({
        code: 'UNREACHABLE',
        message: 'sasl.oauthBearerProvider has no token for Kafka: no answer from the token endpoint',
      })
      const nothing = await refusal({ ssl: { ca: broker.ca }, sasl: bearer('') })
      expect(nothing.message).toBe('sasl.oauthBearerProvider must return { value: token }, with the token as text')
    })
  })
})
