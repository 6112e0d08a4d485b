import { existsSync, realpathSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { Option } from 'commander'
import type { TidemarkConfig } from '../config/define.js'
import { isTidemarkError, messageOf, TidemarkError } from '../model/errors.js'
import { wrongUse } from './fail.js'
import { loadModule } from './load-module.js'

const usualNames = ['ts', 'mts', 'cts', 'js', 'mjs', 'cjs'].map((ending) => `tidemark.config.${ending}`)

export function configOption(): Option {
  const others = usualNames.slice(1).map((name) => name.replace('tidemark.config', ''))
  return new Option(
    '-c, --config <file>',
    `the config; default ${usualNames[0]} (or ${others.join(', ')}) in this folder`,
  )
}

/**
 * Loads a config file; TypeScript needs no build.
 *
 * @throws TidemarkError CONFIG_INVALID when there is no such file, it does not load, or it exports no config
 */
export async function loadConfig(named: string | undefined): Promise<TidemarkConfig> {
  const path = named ? resolve(named) : usualNames.map((name) => resolve(name)).find((name) => existsSync(name))
  if (!path)
    throw new TidemarkError(
      'CONFIG_INVALID',
      `no ${usualNames[0]} in ${process.cwd()}; write one, or name it with --config`,
    )
  if (!existsSync(path)) throw new TidemarkError('CONFIG_INVALID', `there is no config file ${path}`)
  if (statSync(path).isDirectory())
    throw new TidemarkError('CONFIG_INVALID', `${path} is a folder: name the config file in it`)
  // What a config imports is found from where the file is, not from a link to it: Node does the same.
  const file = realpathSync(path)
  process.once('exit', endedWhileLoading)
  const loaded = await loadModule(file)
    .finally(() => process.off('exit', endedWhileLoading))
    .catch((error: unknown) => {
      if (isTidemarkError(error)) throw error
      const why = `${messageOf(error).trim()}${lineIn(file, error)}`
      throw new TidemarkError('CONFIG_INVALID', `${path} does not load: ${why}`, { cause: error })
    })
  const config = [loaded.default?.default, loaded.default, loaded].find(isConfig)
  if (!config)
    throw new TidemarkError(
      'CONFIG_INVALID',
      `${path} must have defineConfig({...}) as its default export (module.exports in CommonJS)`,
    )
  return config
}

/** Nobody else would say so: the process ends by itself where nothing is left that a promise could wait for. */
function endedWhileLoading(): void {
  process.stderr.write('tidemark: the config has ended the process, or awaits at its top level what never comes\n')
  process.exitCode = wrongUse
}

function isConfig(value: unknown): value is TidemarkConfig {
  return typeof value === 'object' && value !== null && Reflect.get(value, 'kind') === 'tidemark-config'
}

/** ` (line 12)`, where the stack of an error thrown by a config leads there. */
function lineIn(path: string, error: unknown): string {
  const stack = (error instanceof Error && error.stack) || ''
  const frame = stack.split('\n').find((line) => /^\s+at /.test(line) && line.includes(`${path}:`))
  const line = frame?.slice(frame.indexOf(`${path}:`) + path.length + 1).match(/^\d+/)
  return line ? ` (line ${line[0]})` : ''
}
