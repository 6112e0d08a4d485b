import type { Database, OffsetStore } from '../../ports/index.js'
import { RuledGroupRecords } from '../../storing/group-records.js'
import { MemoryGroups } from './groups.js'
import { LetterTable } from './letter-table.js'
import { MemoryLetters } from './letters.js'
import { Memory, MemoryOffsets } from './offsets.js'
import { MemoryProgress, type ProgressRow } from './progress.js'
import { MemoryTroubles } from './troubles.js'

export interface MemoryStore extends OffsetStore {
  /** What transactional handlers have written with `tx.client.write`, in the order of their commits. */
  readonly written: readonly unknown[]
  /** Forgets what was written, and nothing else. */
  clear(): void
}

/**
 * Offsets and progress in the memory of this process, with the rules of a real store: for tests of handlers and configs. It ends with
 * the process, and no other process sees it.
 */
export function memoryStore(): MemoryStore {
  const memory = new Memory()
  const progress = new Map<string, ProgressRow>()
  const written: unknown[] = []
  const letters = new LetterTable()
  const troubles = new MemoryTroubles()
  const offsets = new MemoryOffsets(memory)
  const database: Database = {
    kind: 'memory',
    describe: {},
    connect: async () => ({
      progress: new MemoryProgress(progress, written, letters, troubles),
      troubles,
      letters: new MemoryLetters(letters),
      groups: new RuledGroupRecords(new MemoryGroups(memory)),
      changes: {
        add: async (change) => memory.note(change),
        list: async (filter) => memory.history(filter),
      },
      partitions: {
        note: async (partition) => memory.notePartition(partition),
        list: async (filter) => memory.partitions(filter),
      },
      close: async () => {},
    }),
  }
  return {
    kind: 'memory',
    describe: {},
    database,
    connect: async () => offsets,
    written,
    clear: () => void written.splice(0),
  }
}
