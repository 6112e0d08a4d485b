/** For tests of what is built on Tidemark. Nothing here outlives its process. */
export type { MemoryTransaction } from './stores/memory/progress.js'
export { type MemoryStore, memoryStore } from './stores/memory/store.js'
