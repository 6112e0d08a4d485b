import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheFolder, install } from './cache.js'
import { onPath } from './command.js'
import { type DebianPackages, unpack, wrapPrograms } from './debian-packages.js'
import { firstOf } from './lookup.js'
import { type Progress, silent } from './progress.js'

const installation = 'prometheus-2.53-trixie'

const packages: DebianPackages = {
  title: 'Prometheus 2.53, 35 MB',
  release: 'trixie',
  names: ['prometheus', 'promtool', 'libc6'],
}

export interface PrometheusPrograms {
  readonly prometheus: string
  /** Checks what is scraped. */
  readonly promtool: string
}

/** A Prometheus, fetched the first time. Throws CONFIG_INVALID, saying what to install. */
export function prometheusPrograms(progress: Progress = silent): Promise<PrometheusPrograms> {
  return firstOf(
    'Prometheus',
    [
      { name: '`prometheus` and `promtool` on PATH', find: installed },
      { name: "Debian's packages, unpacked into the cache", find: () => unpacked(progress) },
    ],
    'Install Prometheus 2.40 or newer.',
  )
}

async function installed(): Promise<PrometheusPrograms> {
  const [prometheus, promtool] = await Promise.all([onPath('prometheus'), onPath('promtool')])
  if (prometheus === undefined || promtool === undefined) throw new Error('not there')
  return { prometheus, promtool }
}

async function unpacked(progress: Progress): Promise<PrometheusPrograms> {
  const home = await install(installation, (folder) => build(folder, progress), { progress })
  return { prometheus: join(home, 'usr/bin/prometheus'), promtool: join(home, 'usr/bin/promtool') }
}

async function build(folder: string, progress: Progress): Promise<void> {
  await unpack(packages, folder, progress)
  // The programs name where they will be, not the folder they are made in.
  await wrapPrograms(folder, 'usr/bin', join(cacheFolder(), installation))
  await rm(join(folder, '.apt'), { recursive: true })
}
