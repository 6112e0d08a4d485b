/*
 * The seams of Tidemark. A source reads a log; a database keeps progress beside the handler's own writes; an offset store
 * keeps the consumer's position; an output takes what handlers write to a log. Each has one contract suite (test/contract) that
 * every implementation runs.
 *
 * What users put in their config (Source, Database, OffsetStore, Output) is only a description: it opens no socket. A worker
 * calls `connect` once and owns the client it gets until it closes it.
 */
export type * from './context.js'
export type * from './database.js'
export type * from './groups.js'
export type * from './inbox.js'
export type * from './letters.js'
export type * from './offsets.js'
export type * from './outbox.js'
export type * from './output.js'
export type * from './progress.js'
export type * from './record.js'
export type * from './source.js'
export type * from './store.js'
export type * from './transaction.js'
export type * from './trouble.js'
