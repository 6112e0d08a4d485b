import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Login } from './login.js'
import type { RabbitmqProgram } from './rabbitmq-program.js'
import { Server, type ServerKind } from './server.js'

export interface LocalRabbitmq {
  /** `rabbitmq-stream://user:password@host:port` */
  readonly url: string
  /** `amqp://user:password@host:port`: AMQP 0.9.1 and 1.0. */
  readonly amqpUrl: string
  /** `rabbitmq-stream+tls://...`, where there are certificates; else null. */
  readonly tlsUrl: string | null
  /** The same for the management plugin's HTTP interface. */
  readonly managementUrl: string
  readonly server: Server
}

export interface RabbitmqOptions {
  /** For streams. Default: one that is free. */
  readonly port?: number
  /** Default: user `app` with a password of its own. */
  readonly login?: Login
  /** Streams over TLS, too: files in PEM format. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string }
  /** More lines for rabbitmq.conf. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** More environment variables of the broker's process. */
  readonly env?: Readonly<Record<string, string>>
}

/** Starts an empty broker with the stream plugin; resolves when it takes streams. */
export async function startRabbitmq(program: RabbitmqProgram, options: RabbitmqOptions = {}): Promise<LocalRabbitmq> {
  const login = options.login ?? { user: 'app', password: randomBytes(12).toString('hex') }
  const server = await Server.start(rabbitmqServer(program, login, options))
  const who = [login.user, login.password].map(encodeURIComponent).join(':')
  const at = (scheme: string, port: number | undefined) => `${scheme}://${who}@127.0.0.1:${port}`
  const [stream, amqp, management, , , tls] = server.ports
  return {
    url: at('rabbitmq-stream', stream),
    amqpUrl: at('amqp', amqp),
    tlsUrl: options.tls ? at('rabbitmq-stream+tls', tls) : null,
    managementUrl: at('http', management),
    server,
  }
}

function rabbitmqServer(program: RabbitmqProgram, login: Login, options: RabbitmqOptions): ServerKind {
  return {
    name: 'rabbitmq',
    // Streams, AMQP, management, Erlang's distribution and its port mapper, streams over TLS.
    ports: 6,
    ...(options.port && { at: [options.port] }),
    stopSignal: 'SIGTERM',
    stopWithin: 15_000,
    readyWithin: 60_000,
    prepare: async (folder, ports) => {
      const env = await configure(folder, ports, program, login, options)
      // The mapper belongs to the broker's process group, so it ends with the broker. Left to itself, Erlang would start one
      // that outlives everybody.
      const start = '"$1" -port "$2" -address 127.0.0.1 & shift 2; exec "$@"'
      return {
        command: '/bin/sh',
        args: ['-c', start, 'sh', program.epmd, `${ports[4]}`, program.server],
        cwd: folder,
        env,
      }
    },
    ready: async ([stream, amqp, management]) => {
      await Promise.all([answers(stream!), answers(amqp!)])
      const authorization = `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}`
      const health = `http://127.0.0.1:${management}/api/health/checks/port-listener/${stream}`
      const answer = await fetch(health, { headers: { authorization }, signal: AbortSignal.timeout(2_000) })
      if (!answer.ok) throw new Error(`the management plugin answers ${answer.status}`)
    },
  }
}

async function configure(
  folder: string,
  [stream, amqp, management, distribution, epmd, tls]: readonly number[],
  program: RabbitmqProgram,
  login: Login,
  options: RabbitmqOptions,
): Promise<NodeJS.ProcessEnv> {
  const at = (name: string) => join(folder, name)
  await mkdir(at('conf.d'), { recursive: true })
  await writeFile(at('.erlang.cookie'), randomBytes(24).toString('hex'), { mode: 0o400, flag: 'wx' }).catch(() => {})
  await writeFile(at('enabled_plugins'), '[rabbitmq_management,rabbitmq_stream].\n')
  await writeFile(at('advanced.config'), '[].\n')
  const settings = {
    'listeners.tcp.1': `127.0.0.1:${amqp}`,
    'stream.listeners.tcp.1': `127.0.0.1:${stream}`,
    'stream.advertised_host': '127.0.0.1',
    'stream.advertised_port': stream,
    'management.tcp.ip': '127.0.0.1',
    'management.tcp.port': management,
    default_user: login.user,
    default_pass: login.password,
    'disk_free_limit.absolute': '50MB',
    'log.file': false,
    'log.console': true,
    'log.console.level': 'warning',
    ...(options.tls && {
      'stream.listeners.ssl.1': `127.0.0.1:${tls}`,
      'stream.advertised_tls_port': tls,
      'ssl_options.cacertfile': options.tls.ca,
      'ssl_options.certfile': options.tls.cert,
      'ssl_options.keyfile': options.tls.key,
    }),
    ...options.settings,
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`)
  await writeFile(at('rabbitmq.conf'), lines.join(''), { mode: 0o600 })
  const loopback = '-kernel inet_dist_use_interface {127,0,0,1}'
  return {
    ...withoutErlang(process.env),
    ...program.env,
    HOME: folder,
    LANG: 'C.UTF-8',
    LC_ALL: 'C.UTF-8',
    ERL_EPMD_PORT: `${epmd}`,
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_CRASH_DUMP: at('erl_crash.dump'),
    RABBITMQ_NODENAME: 'rabbit@localhost',
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_BASE: folder,
    RABBITMQ_MNESIA_BASE: at('db'),
    RABBITMQ_LOG_BASE: at('log'),
    RABBITMQ_CONFIG_FILE: at('rabbitmq.conf'),
    RABBITMQ_CONFIG_FILES: at('conf.d'),
    RABBITMQ_ADVANCED_CONFIG_FILE: at('advanced.config'),
    RABBITMQ_ENABLED_PLUGINS_FILE: at('enabled_plugins'),
    RABBITMQ_PID_FILE: at('pid'),
    RABBITMQ_GENERATED_CONFIG_DIR: at('generated'),
    RABBITMQ_SCHEMA_DIR: at('schema'),
    RABBITMQ_FEATURE_FLAGS_FILE: at('feature_flags'),
    RABBITMQ_PLUGINS_EXPAND_DIR: at('expand'),
    RABBITMQ_DIST_PORT: `${distribution}`,
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: `${loopback} -start_epmd false`,
    RABBITMQ_CTL_ERL_ARGS: `${loopback} -start_epmd false`,
    // The script then becomes the broker instead of staying beside it, so that signals reach the broker.
    RUNNING_UNDER_SYSTEMD: 'true',
    ...options.env,
  }
}

/** What others have set for their own broker must not reach this one. */
function withoutErlang(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(RABBITMQ_|ERL_|NOTIFY_SOCKET$)/.test(name)))
}

function answers(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.destroy()
      resolve()
    })
  })
}
