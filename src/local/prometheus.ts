import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Server } from './server.js'

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface LocalPrometheus {
  readonly url: string
  /** The value of each series that a query finds now, by its labels. */
  query(
    query: string,
  ): Promise<readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[]>
  readonly server: Server
}

interface Answer {
  readonly data: { readonly result: readonly { metric: Record<string, string>; value: [number, string] }[] }
}

/** Starts a Prometheus that scrapes `target` (`host:port`) every second; resolves when it answers. */
export async function startPrometheus(program: string, target: string): Promise<LocalPrometheus> {
  const server = await Server.start({
    name: 'prometheus',
    ports: 1,
    stopSignal: 'SIGTERM',
    stopWithin: 5_000,
    readyWithin: 20_000,
    prepare: async (folder, [port]) => {
      const config = join(folder, 'prometheus.yml')
      const scrape = { job_name: 'tidemark', static_configs: [{ targets: [target] }] }
      // YAML reads JSON.
      await writeFile(config, JSON.stringify({ global: { scrape_interval: '1s' }, scrape_configs: [scrape] }))
      const data = join(folder, 'data')
      const options = [
        `--config.file=${config}`,
        `--storage.tsdb.path=${data}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ]
      return { command: program, args: options, cwd: folder }
    },
    ready: async ([port]) => {
      const { ok, status } = await fetch(`http://127.0.0.1:${port}/-/ready`)
      if (!ok) throw new Error(`it answers ${status}`)
    },
  })
  const url = `http://127.0.0.1:${server.ports[0]}`
  return {
    url,
    server,
    query: async (query) => {
      const response = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query })}`)
      const { data } = (await response.json()) as Answer
      return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }))
    },
  }
}
