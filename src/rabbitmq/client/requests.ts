import { driverModule } from '../../reading/driver.js'

/* The parts of rabbitmq-stream-js-client that Tidemark uses. driver.ts says how. */

const load = <T>(path: string) => driverModule<T>('rabbitmq-stream-js-client', path, 'tidemark/rabbitmq')

export const { Connection } = load<typeof import('rabbitmq-stream-js-client/dist/connection.js')>(
  'rabbitmq-stream-js-client/dist/connection.js',
)
export const { CreditRequest } = load<typeof import('rabbitmq-stream-js-client/dist/requests/credit_request.js')>(
  'rabbitmq-stream-js-client/dist/requests/credit_request.js',
)
export const { HeartbeatRequest } = load<typeof import('rabbitmq-stream-js-client/dist/requests/heartbeat_request.js')>(
  'rabbitmq-stream-js-client/dist/requests/heartbeat_request.js',
)
export const { MetadataRequest } = load<typeof import('rabbitmq-stream-js-client/dist/requests/metadata_request.js')>(
  'rabbitmq-stream-js-client/dist/requests/metadata_request.js',
)
export const { OpenRequest } = load<typeof import('rabbitmq-stream-js-client/dist/requests/open_request.js')>(
  'rabbitmq-stream-js-client/dist/requests/open_request.js',
)
export const { PartitionsQuery } = load<typeof import('rabbitmq-stream-js-client/dist/requests/partitions_query.js')>(
  'rabbitmq-stream-js-client/dist/requests/partitions_query.js',
)
export const { QueryOffsetRequest } = load<
  typeof import('rabbitmq-stream-js-client/dist/requests/query_offset_request.js')
>('rabbitmq-stream-js-client/dist/requests/query_offset_request.js')
export const { StoreOffsetRequest } = load<
  typeof import('rabbitmq-stream-js-client/dist/requests/store_offset_request.js')
>('rabbitmq-stream-js-client/dist/requests/store_offset_request.js')
export const { StreamStatsRequest } = load<
  typeof import('rabbitmq-stream-js-client/dist/requests/stream_stats_request.js')
>('rabbitmq-stream-js-client/dist/requests/stream_stats_request.js')
export const { Offset, SubscribeRequest } = load<
  typeof import('rabbitmq-stream-js-client/dist/requests/subscribe_request.js')
>('rabbitmq-stream-js-client/dist/requests/subscribe_request.js')
export const { UnsubscribeRequest } = load<
  typeof import('rabbitmq-stream-js-client/dist/requests/unsubscribe_request.js')
>('rabbitmq-stream-js-client/dist/requests/unsubscribe_request.js')
export type Connection = InstanceType<typeof Connection>
export type Offset = import('rabbitmq-stream-js-client/dist/requests/subscribe_request.js').Offset
