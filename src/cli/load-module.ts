import { createRequire } from 'node:module'
import { createJiti, type Jiti, type JitiOptions } from 'jiti'
import { messageOf } from '../model/errors.js'
import { keepImportMeta } from './import-meta.js'

const require = createRequire(import.meta.url)

/** What a CommonJS or ES module exports; a CommonJS project may wrap the default export once more. */
interface Loaded {
  readonly default?: { readonly default?: unknown }
}

/**
 * Tidemark's entries, loaded when they are asked for. A module that jiti loads gets these instead of a copy of its own, so that classes
 * and module state are the same in the config and in the command line.
 */
const ownEntries = Object.defineProperties(
  {},
  Object.fromEntries(
    ['tidemark', 'tidemark/kafka', 'tidemark/postgres', 'tidemark/rabbitmq', 'tidemark/testing'].map((entry) => [
      entry,
      { enumerable: true, get: () => ownEntry(entry) },
    ]),
  ),
)

/** `require` serves both kinds of module. The sources of a checkout are TypeScript, which only `import` can load there. */
function ownEntry(entry: string): unknown {
  return import.meta.url.endsWith('.ts') ? import(entry) : require(entry)
}

const options: JitiOptions = {
  virtualModules: ownEntries,
  // A cache outside of the project would be a folder that other users of the machine can write to.
  fsCache: false,
  // Node would strip types in its newer versions: a handler's text, and with it the config's version, would depend on Node's.
  tryNative: false,
  interopDefault: true,
  moduleCache: true,
  transformOptions: { babel: { plugins: [keepImportMeta] } },
}

/**
 * Loads a TypeScript or JavaScript module of any kind, in a project of any kind. What it imports, now or later, may be either as well.
 * Decisions and limits: docs/decisions/0012-configs-by-jiti.md.
 */
export async function loadModule(path: string): Promise<Loaded> {
  const { jiti, problem } = loaderFor(path)
  try {
    return await jiti.import<Loaded>(path)
  } catch (error) {
    if (problem === undefined || !(error instanceof Error) || !/Cannot find/.test(error.message)) throw error
    throw new Error(`${error.message} (the paths of its tsconfig are not in force: ${problem})`, { cause: error })
  }
}

/** A tsconfig may extend one that only development installs. Then its `paths` are done without, and `problem` says so. */
function loaderFor(path: string): { jiti: Jiti; problem?: string } {
  try {
    return { jiti: createJiti(path, { ...options, tsconfigPaths: true }) }
  } catch (error) {
    return { jiti: createJiti(path, { ...options, tsconfigPaths: false }), problem: messageOf(error) }
  }
}
