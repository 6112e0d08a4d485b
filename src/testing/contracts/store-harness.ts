import type { OffsetStoreClient } from '../../ports/index.js'

/** What a kind of offset store brings to be tested. */
export interface StoreHarness {
  /** A client with connections of its own. */
  connect(): Promise<OffsetStoreClient>
  /** Leaves the store as a newer Tidemark would, whose changes this one can't work with. Absent where nothing outlives a process. */
  changeByNewerTidemark?(): Promise<void>
  close(): Promise<void>
}
