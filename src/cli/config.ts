import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Option } from 'commander'
import { register } from 'tsx/esm/api'
import type { TidemarkConfig } from '../config/define.js'
import { messageOf, TidemarkError } from '../model/errors.js'

const usualNames = ['ts', 'mts', 'js', 'mjs'].map((ending) => `tidemark.config.${ending}`)

export function configOption(): Option {
  return new Option('-c, --config <file>', `the config; default ${usualNames[0]} (or .mts, .js, .mjs) in this folder`)
}

/**
 * Loads a config file; TypeScript needs no build.
 *
 * @throws TidemarkError CONFIG_INVALID when there is no such file, it does not load, or it exports no config
 */
export async function loadConfig(file: string | undefined): Promise<TidemarkConfig> {
  const path = file ? resolve(file) : usualNames.map((name) => resolve(name)).find((name) => existsSync(name))
  if (!path)
    throw new TidemarkError(
      'CONFIG_INVALID',
      `no ${usualNames[0]} in ${process.cwd()}; write one, or name it with --config`,
    )
  if (!existsSync(path)) throw new TidemarkError('CONFIG_INVALID', `there is no config file ${path}`)
  // Stays registered: handlers may import more TypeScript later.
  register()
  const loaded = await import(pathToFileURL(path).href).catch((error: unknown) => {
    throw error instanceof Error && error.name === 'TidemarkError'
      ? error
      : new TidemarkError('CONFIG_INVALID', `${path} does not load: ${messageOf(error).trim()}${lineIn(path, error)}`, {
          cause: error,
        })
  })
  // A CommonJS project wraps the default export once more.
  const config = loaded.default?.default ?? loaded.default
  if (config?.kind !== 'tidemark-config')
    throw new TidemarkError('CONFIG_INVALID', `${path} must have defineConfig({...}) as its default export`)
  return config
}

/** ` (line 12)`, where the stack of an error thrown by a config leads there. */
function lineIn(path: string, error: unknown): string {
  const stack = (error instanceof Error && error.stack) || ''
  const frame = stack.split('\n').find((line) => /^\s+at /.test(line) && line.includes(`${path}:`))
  const line = frame?.slice(frame.indexOf(`${path}:`) + path.length + 1).match(/^\d+/)
  return line ? ` (line ${line[0]})` : ''
}
