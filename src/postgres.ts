/* The subpath `tidemark/postgres`. */
export type { PostgresOptions } from './postgres/options.js'
export { type Appended, appendEvents, type NewEvent } from './sources/postgres/append.js'
export { type CreateStreamOptions, createStream } from './sources/postgres/create-stream.js'
export type { PostgresStreamOptions } from './sources/postgres/options.js'
export { postgresStream } from './sources/postgres/stream.js'
export type { Target } from './sources/postgres/target.js'
export { bytes, json, text } from './sources/value.js'
export { postgresDatabase, postgresStore } from './stores/postgres/store.js'
