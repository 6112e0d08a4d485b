import { TidemarkError } from '../model/errors.js'

const names = ['TEMPORAL_ADDRESS', 'TEMPORAL_NAMESPACE', 'TEMPORAL_API_KEY'] as const

/**
 * What the environment says of Temporal. Empty text counts as nothing: a compose file or a manifest sets that where it has no value for a
 * variable.
 *
 * @throws TidemarkError CONFIG_INVALID for an address that can't be one
 */
export function temporalEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const set = Object.fromEntries(names.map((name) => [name, env[name]?.trim() || undefined]))
  const address = set.TEMPORAL_ADDRESS
  if (address !== undefined && !/^[^\s/@]+$/.test(address))
    throw new TidemarkError(
      'CONFIG_INVALID',
      `the environment's TEMPORAL_ADDRESS must be 'host:port', like '127.0.0.1:7233'`,
    )
  return set
}
