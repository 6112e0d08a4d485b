import { access, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/*
 * Java reads, checks and links the same thousands of classes at each start. From an archive of them a server is up in half of the time, for half
 * of the CPU.
 */

const quietly = ['-Xlog:cds=off', '-Xlog:cds+dynamic=off']

/** Options of Java that read the archive; where it does not fit this Java, or is missing, classes are read as ever. */
export function readingArchive(archive: string): readonly string[] {
  return [`-XX:SharedArchiveFile=${archive}`, '-Xshare:auto', ...quietly]
}

/**
 * Path of the archive of classes of the jars in `folder`. Made once, where the jars have come to stay, since an archive names their paths.
 *
 * @param work starts the program with these options, and ends it in order: what it has loaded then is archived
 * @returns null where none can be made, which is found out once: then the program just takes longer to start
 */
export async function classArchive(
  folder: string,
  work: (options: readonly string[]) => Promise<void>,
): Promise<string | null> {
  const archive = join(folder, 'classes.jsa')
  const without = join(folder, 'classes.none')
  if (await isThere(archive)) return archive
  if (await isThere(without)) return null
  const draft = `${archive}.${process.pid}`
  try {
    await work([`-XX:ArchiveClassesAtExit=${draft}`, ...quietly])
    await rename(draft, archive)
    return archive
  } catch (error) {
    await rm(draft, { force: true })
    await writeFile(without, `${error}\n`)
    return null
  }
}

function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}
