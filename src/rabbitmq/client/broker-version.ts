import { TidemarkError } from '../../model/errors.js'

/** The first release whose streams do all that is asked of them here. */
const least = [3, 13] as const

/** Throws CONFIG_INVALID, naming the needed version, where the broker's is older. */
export function checkVersion({ version = '' }: Readonly<Record<string, string>>, where = 'the broker'): void {
  const found = /^(\d+)\.(\d+)/.exec(version)
  if (!found) return
  const [major, minor] = [Number(found[1]), Number(found[2])]
  if (major > least[0] || (major === least[0] && minor >= least[1])) return
  throw new TidemarkError(
    'CONFIG_INVALID',
    `${where} is RabbitMQ ${version}, and ${least.join('.')} or newer is needed to read its streams: upgrade it`,
  )
}
