import { Client, type ClientOptions, Connection } from '@temporalio/client'
import type { TemporalSettings } from '../config/temporal.js'
import { messageOf, TidemarkError } from '../model/errors.js'
import { unreachable } from '../model/peer-errors.js'
import { dataConverterOf } from './codec.js'

/** gRPC's UNAUTHENTICATED and PERMISSION_DENIED. */
const refused = new Set([16, 7])
/** gRPC's NOT_FOUND. */
const notFound = 5

/** Options for either of the SDK's two connections. */
export function connectionOptions({ address, tls, apiKey }: TemporalSettings) {
  const { cert, key, ca, serverName } = typeof tls === 'object' ? tls : {}
  const secure =
    typeof tls === 'object'
      ? {
          ...(serverName ? { serverNameOverride: serverName } : {}),
          ...(ca ? { serverRootCACertificate: ca } : {}),
          ...(cert && key ? { clientCertPair: { crt: cert, key } } : {}),
        }
      : tls
  return { address, ...(secure === undefined ? {} : { tls: secure }), ...(apiKey ? { apiKey } : {}) }
}

/**
 * A client for commands and queries; the worker has its own, heavier connection. A person is waiting.
 *
 * @param patienceMs how long Temporal may take to answer, ms
 * @throws TidemarkError UNREACHABLE or AUTH_FAILED, naming the address
 */
export async function connectClient(settings: TemporalSettings, patienceMs = 5_000): Promise<Client> {
  const deadline = Date.now() + patienceMs
  try {
    const connection = await Connection.connect({ ...connectionOptions(settings), connectTimeout: patienceMs })
    try {
      // Without a deadline the SDK tries again for minutes.
      await connection.withDeadline(deadline, () => requireNamespace(connection, settings))
      return clientOf(connection, settings)
    } catch (error) {
      await connection.close()
      throw error
    }
  } catch (error) {
    throw temporalError(error, settings)
  }
}

/**
 * A client over a connection that is there, with the config's codecs and interceptors.
 *
 * @throws TidemarkError CONFIG_INVALID where the module of the failure converter is none
 */
export function clientOf(connection: NonNullable<ClientOptions['connection']>, settings: TemporalSettings): Client {
  const { namespace, interceptors } = settings
  try {
    return new Client({
      connection,
      namespace,
      dataConverter: dataConverterOf(settings),
      ...(interceptors?.client && { interceptors: interceptors.client }),
    })
  } catch (cause) {
    throw new TidemarkError('CONFIG_INVALID', `temporal.dataConverter: ${messageOf(cause)}`, { cause })
  }
}

/**
 * Without this look a wrong namespace is found out later, in words about other things: a workflow that does not exist.
 *
 * @throws TidemarkError CONFIG_INVALID when there is no such namespace
 */
export async function requireNamespace(
  { workflowService }: Pick<Connection, 'workflowService'>,
  settings: TemporalSettings,
): Promise<void> {
  const { address, namespace } = settings
  try {
    await workflowService.describeNamespace({ namespace })
  } catch (error) {
    if (codeOf(error) !== notFound) throw temporalError(error, settings)
    throw new TidemarkError(
      'CONFIG_INVALID',
      `Temporal at ${address} has no namespace '${namespace}': create it (temporal operator namespace create --namespace ${namespace}), ` +
        'or correct temporal.namespace (or TEMPORAL_NAMESPACE)',
      { cause: error },
    )
  }
}

/** What a failed connection or request to Temporal means for a person. */
export function temporalError(error: unknown, { address, namespace }: TemporalSettings): TidemarkError {
  if (error instanceof TidemarkError) return error
  if (refused.has(codeOf(error)))
    return new TidemarkError(
      'AUTH_FAILED',
      `Temporal at ${address} refused namespace '${namespace}': check temporal.apiKey, temporal.tls and temporal.namespace`,
      { cause: error },
    )
  const toDo = 'is it running, and is temporal.address (or TEMPORAL_ADDRESS) right?'
  return unreachable({ where: `Temporal at ${address}`, toDo, cause: error })
}

function codeOf(error: unknown): number {
  return typeof error === 'object' && error !== null ? Number(Reflect.get(error, 'code')) : Number.NaN
}
