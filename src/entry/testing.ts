/** For tests of what is built on Tidemark. Nothing here outlives its process. */
export type { MemoryTransaction } from '../memory/store/progress.js'
export { type MemoryStore, memoryStore } from '../memory/store/store.js'
