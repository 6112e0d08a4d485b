import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { install } from './cache.js'
import { isExecutable, onPath, run } from './command.js'
import { type Progress, showing } from './progress.js'

/** A set of programs from Maven Central. */
export interface Jars {
  /** Name in the cache, with the version in it. */
  readonly name: string
  /** What people read while it is fetched. */
  readonly title: string
  /** `group:artifact:version`. */
  readonly artifacts: readonly string[]
  /** Adds further files to the installation. */
  readonly finish?: (folder: string) => Promise<void>
}

/** Folder of an installation whose `lib` holds the artifacts and all they need, fetched by Maven the first time. */
export function jars(wanted: Jars, progress: Progress): Promise<string> {
  return install(
    wanted.name,
    async (folder) => {
      const maven = await onPath('mvn')
      if (maven === undefined) throw new Error('no Maven (`mvn`) on PATH to fetch it')
      await writeFile(join(folder, 'pom.xml'), pom(wanted.artifacts))
      const args = ['-q', '-B', 'dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=lib']
      await showing(progress, `fetching ${wanted.title}, once`, run(maven, args, { cwd: folder }))
      await wanted.finish?.(folder)
    },
    { progress },
  )
}

/** The `java` to run jars with: JAVA_HOME's, or the one on PATH. */
export async function java(): Promise<string> {
  const home = process.env.JAVA_HOME
  const own = home ? join(home, 'bin', 'java') : undefined
  const program = own !== undefined && (await isExecutable(own)) ? own : await onPath('java')
  if (program === undefined) throw new Error('no Java on PATH nor in JAVA_HOME')
  return program
}

function pom(artifacts: readonly string[]): string {
  const dependencies = artifacts.map((artifact) => {
    const [group, name, version] = artifact.split(':')
    return `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version></dependency>`
  })
  return [
    '<project xmlns="http://maven.apache.org/POM/4.0.0">',
    '<modelVersion>4.0.0</modelVersion>',
    '<groupId>local</groupId><artifactId>local</artifactId><version>1</version><packaging>pom</packaging>',
    `<dependencies>${dependencies.join('')}</dependencies>`,
    '</project>',
    '',
  ].join('\n')
}
