/* The subpath `tidemark/postgres`. */
export type { PostgresOptions } from './postgres/options.js'
export { postgresDatabase, postgresStore } from './stores/postgres/store.js'
