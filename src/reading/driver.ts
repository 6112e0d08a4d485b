import { createRequire } from 'node:module'
import { TidemarkError } from '../model/errors.js'

const requirePackage = createRequire(import.meta.url)

/**
 * Loads a module of the driver that a log needs. Drivers are optional peers of this package, so that nobody installs those of other logs.
 *
 * @param name of the package: `kafkajs`
 * @param path of the module: `kafkajs/src/broker/index.js`
 * @param needs what cannot work without it: `tidemark/kafka`
 * @throws TidemarkError CONFIG_INVALID, with the line that installs the package
 */
export function driverModule<T>(name: string, path: string, needs: string): T {
  try {
    return requirePackage(path) as T
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const isMissing = code === 'MODULE_NOT_FOUND' && message.startsWith(`Cannot find module '${path}'`)
    if (!isMissing) throw error
    throw new TidemarkError('CONFIG_INVALID', `${needs} needs the package ${name}: npm install ${installable(name)}`, {
      cause: error,
    })
  }
}

/** A driver as npm is told to install it: with its version where only one will do, since Tidemark reaches beneath its public face. */
export function installable(name: string): string {
  const { peerDependencies } = requirePackage('tidemark/package.json') as { peerDependencies: Record<string, string> }
  const version = peerDependencies[name]
  return version === undefined || !/^\d/.test(version) ? name : `${name}@${version}`
}
