import { readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { cacheFolder, install } from './cache.js'
import { onPath, run } from './command.js'
import { type DebianPackages, find, unpack, wrapPrograms } from './debian-packages.js'
import { firstOf } from './lookup.js'
import { type Progress, silent } from './progress.js'

const installation = 'rabbitmq-4.0-trixie'

const packages: DebianPackages = {
  title: 'RabbitMQ 4.0 with Erlang 27, 30 MB',
  release: 'trixie',
  names: [
    'rabbitmq-server',
    ...['base', 'asn1', 'crypto', 'eldap', 'inets', 'mnesia', 'os-mon', 'parsetools', 'public-key'].map(erlang),
    ...['runtime-tools', 'ssl', 'syntax-tools', 'tools', 'xmerl'].map(erlang),
    ...['libc6', 'libgcc-s1', 'libstdc++6', 'libsystemd0', 'libcap2', 'libtinfo6', 'zlib1g', 'libzstd1', 'libssl3t64'],
  ],
}

export interface RabbitmqProgram {
  /** The script that becomes the broker. */
  readonly server: string
  /** Erlang's port mapper. */
  readonly epmd: string
  /** What the script needs to find the rest. */
  readonly env: Readonly<Record<string, string>>
}

/** A RabbitMQ 4 with its stream plugin, fetched the first time. Throws CONFIG_INVALID, saying what to install. */
export function rabbitmqProgram(progress: Progress = silent): Promise<RabbitmqProgram> {
  return firstOf(
    'RabbitMQ broker',
    [
      { name: '`rabbitmq-server` on PATH', find: installed },
      { name: "Debian's packages, unpacked into the cache", find: () => unpacked(progress) },
    ],
    'Set RABBITMQ_URL to a running broker with the stream plugin, or install RabbitMQ 4.',
  )
}

async function installed(): Promise<RabbitmqProgram> {
  const [server, ctl, epmd] = await Promise.all(['rabbitmq-server', 'rabbitmqctl', 'epmd'].map((name) => onPath(name)))
  if (!server || !ctl || !epmd) throw new Error('not there')
  const version = (await run(ctl, ['version'])).trim()
  if (!/^(4|[5-9]|\d\d)\./.test(version)) throw new Error(`it is ${version}, and 4 or newer is needed`)
  return { server, epmd, env: {} }
}

async function unpacked(progress: Progress): Promise<RabbitmqProgram> {
  const home = await install(installation, (folder) => build(folder, progress), { progress })
  const erlangHome = join(home, 'usr/lib/erlang')
  const [script] = await find(join(home, 'usr/lib/rabbitmq/lib'), (name) => name === 'rabbitmq-server')
  if (script === undefined) throw new Error('no rabbitmq-server among the unpacked packages')
  return {
    server: script,
    epmd: join(erlangHome, 'bin/epmd'),
    env: {
      PATH: `${join(erlangHome, 'bin')}:${process.env.PATH ?? ''}`,
      RABBITMQ_PLUGINS_DIR: join(script, '../../plugins'),
    },
  }
}

async function build(folder: string, progress: Progress): Promise<void> {
  // The programs name where they will be, not the folder they are made in.
  const home = join(cacheFolder(), installation)
  await unpack(packages, folder, progress)
  await wrapPrograms(folder, 'usr/lib/erlang', home)
  const scripts = await find(join(folder, 'usr/lib/erlang'), (name) =>
    ['erl', 'start', 'start_erl'].includes(basename(name)),
  )
  for (const script of scripts) {
    const text = await readFile(script, 'utf8')
    await writeFile(script, text.replace(/=\/usr\/lib\/erlang$/gm, `=${home}/usr/lib/erlang`))
  }
  await rm(join(folder, '.apt'), { recursive: true })
}

function erlang(part: string): string {
  return `erlang-${part}`
}
