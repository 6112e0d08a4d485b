import {
  type Client,
  isGrpcServiceError,
  QueryNotRegisteredError,
  QueryRejectedError,
  ServiceError,
  WorkflowNotFoundError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client'
import { messageOf, TidemarkError } from '../model/errors.js'
import type { GroupName } from '../model/partition.js'

/** How long workflows may take to answer, ms. Without a worker they never do. */
const patience = 15_000

/** gRPC's CANCELLED and DEADLINE_EXCEEDED mean that time ran out; FAILED_PRECONDITION means that no worker has polled lately. */
const nobody = new Set([1, 4, 9])

/**
 * Asks a group's workflows something.
 *
 * @throws TidemarkError UNKNOWN_CONSUMER where the group was never started, UNREACHABLE where no worker runs it
 */
export async function answered<T>(
  client: Client,
  name: GroupName,
  ask: () => Promise<T>,
  patienceMs = patience,
): Promise<T> {
  try {
    return await client.withDeadline(Date.now() + patienceMs, ask)
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) throw neverStarted(name)
    if (isUnanswered(error)) throw noWorker(name, error)
    // The SDK's own text says only what was tried.
    if (error instanceof ServiceError) throw failed(name, error)
    throw error
  }
}

/**
 * Whether a worker answers a query, be it with an error.
 *
 * @throws what Temporal itself says
 */
export async function isAnswered(client: Client, query: () => Promise<unknown>, patienceMs: number): Promise<boolean> {
  try {
    await client.withDeadline(Date.now() + patienceMs, query)
    return true
  } catch (error) {
    if (error instanceof QueryNotRegisteredError || error instanceof QueryRejectedError) return true
    if (isUnanswered(error)) return false
    throw error
  }
}

function isUnanswered(error: unknown): boolean {
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) return true
  const cause = error instanceof ServiceError ? error.cause : error
  return isGrpcServiceError(cause) && nobody.has(cause.code)
}

/** The group was never started. */
export function neverStarted({ group, stream }: GroupName): TidemarkError {
  return new TidemarkError(
    'UNKNOWN_CONSUMER',
    `no group '${group}' runs on stream '${stream}' in this Temporal namespace; start it with 'tidemark start'`,
    { place: { group, stream } },
  )
}

function noWorker({ group, stream }: GroupName, cause: unknown): TidemarkError {
  return new TidemarkError(
    'UNREACHABLE',
    `no worker answers for group '${group}' on stream '${stream}': is one running? Start it with 'tidemark start' and try again`,
    { cause, place: { group, stream } },
  )
}

function failed({ group, stream }: GroupName, error: ServiceError): TidemarkError {
  const why = error.cause === undefined ? '' : ` (${messageOf(error.cause)})`
  return new TidemarkError(
    'UNREACHABLE',
    `Temporal could not ask group '${group}' on stream '${stream}': ${error.message}${why}; try again`,
    { cause: error, place: { group, stream } },
  )
}
