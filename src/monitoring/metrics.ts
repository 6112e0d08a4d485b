import { Registry } from 'prom-client'
import type { ConsumerSettings } from '../model/settings.js'
import { type Asked, BackgroundLooks } from './background-looks.js'
import { ConsumerMeter } from './consumer-meter.js'
import { type Definitions, defineMetrics } from './definitions.js'
import { watchLoop } from './loop-delay.js'
import { fillWhenRead } from './partition-gauges.js'

/** What Temporal's SDK counts by itself: its text, or why there is none. */
export type SdkMetrics = () => Promise<{ readonly text: string } | { readonly absent: string }>

/** Memory for messages, shared by all partitions of a worker. */
interface Buffer {
  readonly used: number
  readonly total: number
}

/** The metrics of one worker, in a registry of their own: prom-client's global one is left to the program around. */
export interface WorkerMetrics {
  /** Tidemark's metrics, without those of Temporal's SDK. */
  readonly registry: Registry
  /** Of the text that `page` resolves with. */
  readonly contentType: string
  /** What `/metrics` serves: the registry's metrics, and those of Temporal's SDK where this process gives them to Tidemark. */
  page(): Promise<string>
}

/** Collects the metrics of one worker. */
export class Meters implements WorkerMetrics {
  readonly registry = new Registry()
  readonly contentType: string = Registry.PROMETHEUS_CONTENT_TYPE
  readonly #metrics: Definitions = defineMetrics(this.registry)
  readonly #consumers: ConsumerMeter[] = []
  readonly #looks: BackgroundLooks[] = []
  readonly #end: () => void
  readonly #sdk: SdkMetrics

  constructor(version: string, sdk: SdkMetrics) {
    this.#sdk = sdk
    this.#metrics.build.set({ version, node: process.versions.node }, 1)
    this.#end = watchLoop((seconds) => this.#metrics.loopDelay.observe(seconds))
    fillWhenRead(this.#metrics, this.#consumers)
    // Where others serve the registry, this gauge is how it is noticed.
    Object.assign(this.#metrics.build, { collect: () => this.#looks.forEach((look) => void look.begin()) })
  }

  /** What a consumer's work is told to. */
  consumer(
    settings: Pick<ConsumerSettings, 'group' | 'stream' | 'retry'>,
    partitions: number,
    asked: Asked,
  ): ConsumerMeter {
    const meter = new ConsumerMeter(settings, partitions, this.#metrics)
    this.#consumers.push(meter)
    this.#looks.push(new BackgroundLooks(meter, asked))
    return meter
  }

  buffer(buffer: Buffer): void {
    const { bufferedBytes, bufferLimit } = this.#metrics
    Object.assign(bufferedBytes, { collect: () => bufferedBytes.set(buffer.used) })
    bufferLimit.set(buffer.total)
  }

  async page(): Promise<string> {
    const [own, sdk] = await Promise.all([this.registry.metrics(), this.#sdk()])
    return `${own}\n${'text' in sdk ? sdk.text : `# ${sdk.absent}\n`}`
  }

  /** The worker has ended. */
  end(): void {
    this.#end()
    // Others have the partitions now.
    this.#consumers.length = this.#looks.length = 0
  }
}
