/* The subpath `tidemark/postgres`. */
export type { PostgresOptions } from '../postgres/client/options.js'
export { type Appended, appendEvents, type NewEvent } from '../postgres/output/append.js'
export { type CreatedStream, type CreateStreamOptions, createStream } from '../postgres/output/create-stream.js'
export type { Target } from '../postgres/output/target.js'
export type { PostgresStreamOptions } from '../postgres/source/options.js'
export { postgresStream } from '../postgres/source/stream.js'
export { postgresDatabase, postgresStore } from '../postgres/store/store.js'
export {
  bytes,
  json,
  text,
  type ValueCodec,
  type ValueInfo,
  type ValueOption,
} from '../reading/value.js'
