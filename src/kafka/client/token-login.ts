import type { AuthenticationProviderArgs, Mechanism, SASLOptions } from 'kafkajs'
import { messageOf, TidemarkError } from '../../model/errors.js'

/*
 * OAUTHBEARER, RFC 7628. kafkajs takes every answer for a success: it passes over what the broker says of a token that it refuses, and the
 * connection ends with the next request. Errors of the user's function would come through it as if a broker had said them.
 */

const separator = '\u0001'

/** A broker has refused a token. */
export class TokenRefused extends Error {
  override readonly name = 'SaslTokenRefused'
}

/** The login as kafkajs takes it. A copy: kafkajs keeps something in it. */
export function loginOf(sasl: SASLOptions): SASLOptions | Mechanism {
  if (sasl.mechanism !== 'oauthbearer') return { ...sasl }
  const { mechanism } = sasl
  return { mechanism, authenticationProvider: (broker) => ({ authenticate: () => authenticate(sasl, broker) }) }
}

type TokenLogin = Extract<SASLOptions, { mechanism: 'oauthbearer' }>

async function authenticate(sasl: TokenLogin, { saslAuthenticate }: AuthenticationProviderArgs): Promise<void> {
  const say = async (text: string) => {
    const request = { encode: () => bytesOf(text) }
    const response = { decode: (raw: Buffer) => raw.subarray(4), parse: String }
    return (await saslAuthenticate({ request, response })) ?? ''
  }
  const problem = await say(await firstMessage(sasl))
  if (problem === '') return
  // What the protocol wants in answer. Brokers then end the login with an error.
  await say(separator).catch(() => {})
  throw new TokenRefused(statusIn(problem))
}

async function firstMessage({ oauthBearerProvider }: TokenLogin): Promise<string> {
  // Extensions are no part of kafkajs's type, though it sends them: `logicalCluster` and the like.
  let token: { readonly value?: unknown; readonly extensions?: Record<string, unknown> } | undefined
  try {
    token = await oauthBearerProvider()
  } catch (cause) {
    const text = `sasl.oauthBearerProvider has no token for Kafka: ${messageOf(cause)}`
    throw new TidemarkError('UNREACHABLE', text, { cause })
  }
  // Shows nothing of what it has returned instead: that may be the token itself.
  if (typeof token?.value !== 'string' || token.value === '')
    throw new TidemarkError(
      'AUTH_FAILED',
      'sasl.oauthBearerProvider must return { value: token }, with the token as text',
    )
  const extensions = Object.entries(token.extensions ?? {}).map(([name, value]) => `${name}=${value}`)
  return ['n,,', `auth=Bearer ${token.value}`, ...extensions, '', ''].join(separator)
}

/** Kafka's encoding of bytes: their number in front. */
function bytesOf(text: string): Buffer {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(4)
  length.writeInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** `invalid_token`, of the broker's answer. The rest of it is not for people. */
function statusIn(answer: string): string {
  return /"status"\s*:\s*"([\w-]{1,100})"/.exec(answer)?.[1] ?? 'no reason is given'
}
