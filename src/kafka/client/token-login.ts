import type { SASLOptions } from 'kafkajs'
import { messageOf, TidemarkError } from '../../model/errors.js'

/** A login whose errors say when it was the user's function that failed. kafkajs would pass them on as if a broker had said them. */
export function tokenLogin(sasl: SASLOptions): SASLOptions {
  if (sasl.mechanism !== 'oauthbearer') return sasl
  return { ...sasl, oauthBearerProvider: () => tokenOf(sasl) }
}

async function tokenOf({ oauthBearerProvider }: Extract<SASLOptions, { mechanism: 'oauthbearer' }>) {
  const token = await oauthBearerProvider().catch((cause: unknown) => {
    throw new TidemarkError('UNREACHABLE', `sasl.oauthBearerProvider has no token for Kafka: ${messageOf(cause)}`, {
      cause,
    })
  })
  // Shows nothing of what it has returned instead: that may be the token itself.
  if (typeof token?.value !== 'string' || token.value === '')
    throw new TidemarkError(
      'AUTH_FAILED',
      'sasl.oauthBearerProvider must return { value: token }, with the token as text',
    )
  return token
}
