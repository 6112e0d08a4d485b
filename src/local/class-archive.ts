import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { install } from './cache.js'
import type { Progress } from './progress.js'

/*
 * Java reads, checks and links the same thousands of classes at each start. From an archive of them a server is up in half of the time, for half
 * of the CPU.
 */

/** Where an archive is, from the folder of the jars. */
export const archiveFile = 'classes/classes.jsa'
const quietly = ['-Xlog:cds=off', '-Xlog:cds+dynamic=off']

/** Options of Java that read the archive; where it does not fit this Java, or is missing, classes are read as ever. */
export function readingArchive(archive: string): readonly string[] {
  return [`-XX:SharedArchiveFile=${archive}`, '-Xshare:auto', ...quietly]
}

/**
 * Archives the classes of the jars in `folder`, once, beside them: an archive names their paths, and is worthless without them.
 *
 * @param work starts the program with these options, and ends it in order: what it has loaded then is archived
 * @returns whether there is an archive. Where none can be made, which is tried once, the program just takes longer to start
 */
export async function hasClassArchive(
  folder: string,
  work: (options: readonly string[]) => Promise<void>,
  progress: Progress,
): Promise<boolean> {
  const build = async (draft: string) => {
    const archive = join(draft, 'classes.jsa')
    await work([`-XX:ArchiveClassesAtExit=${archive}`, ...quietly]).catch(() => rm(archive, { force: true }))
  }
  // A cache that others have filled may be read-only.
  await install('classes', build, { root: folder, progress }).catch(() => {})
  return existsSync(join(folder, archiveFile))
}
