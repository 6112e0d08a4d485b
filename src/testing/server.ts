import { Client, type ClientOptions, type Connection } from '@temporalio/client'
import type { NativeConnection } from '@temporalio/worker'
import { isTidemarkError, messageOf, TidemarkError } from '../model/errors.js'
import type { TestClock } from './clock.js'
import { endsWithThisProcess } from './reaper.js'

/** What of `TestWorkflowEnvironment` is used, so that nobody needs its types who does not have the package. */
interface Environment {
  readonly address: string
  readonly connection: Connection
  readonly nativeConnection: NativeConnection
  sleep(ms: number): Promise<void>
  currentTimeMs(): Promise<number>
  teardown(): Promise<void>
}

/** How long a server may take to skip an hour before it counts as stuck, ms. */
const stuckAfter = 2_000

/** A Temporal server that can skip time. Its time is everybody's who uses it, so one kit uses it at a time. */
export class TestServer {
  readonly clock: TestClock
  #namespaces = 0
  /** Calls that have not come to their time. The server skips time for one even where it must not, as long as another is under way. */
  readonly #advancing = new Set<AbortController>()
  readonly #release: () => void

  private constructor(private readonly environment: Environment) {
    this.clock = {
      now: () => environment.currentTimeMs(),
      advance: async (ms) => {
        const end = new AbortController()
        this.#advancing.add(end)
        await environment.connection.withAbortSignal(end.signal, () => environment.sleep(ms))
        this.#advancing.delete(end)
      },
    }
    this.#release = endsWithThisProcess(environment.address.split(':').at(-1)!)
  }

  /**
   * @param executable path of Temporal's test server; undefined: the one that `@temporalio/testing` downloads
   * @throws TidemarkError CONFIG_INVALID without that package; UNREACHABLE where the server does not start
   */
  static async start(executable: string | undefined): Promise<TestServer> {
    const { TestWorkflowEnvironment } = await temporalTesting()
    const server = executable === undefined ? {} : { executable: { type: 'existing-path' as const, path: executable } }
    try {
      return new TestServer((await TestWorkflowEnvironment.createTimeSkipping({ server })) as unknown as Environment)
    } catch (error) {
      if (isTidemarkError(error)) throw error
      throw new TidemarkError(
        'UNREACHABLE',
        `Temporal's time-skipping test server did not start: ${messageOf(error)}. Its first start downloads it; where that is not possible, ` +
          'set TIDEMARK_TEST_SERVER (or the option `server`) to the path of an executable temporal-test-server',
        { cause: error },
      )
    }
  }

  get connection(): NativeConnection {
    return this.environment.nativeConnection
  }

  get address(): string {
    return this.environment.address
  }

  /** A namespace of its own keeps a kit's workflows apart from those of kits before it. The server takes any. */
  newNamespace(): string {
    return `kit-${++this.#namespaces}`
  }

  client(namespace: string, interceptors: ClientOptions['interceptors'] = {}): Client {
    return new Client({ connection: this.environment.connection, namespace, interceptors })
  }

  /** Whether it can be used again. A workflow that was ended in the middle of something may keep its time from being skipped. */
  async isUsable(): Promise<boolean> {
    if (this.#advancing.size > 0) return false
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), stuckAfter)
    })
    const skipped = this.clock.advance(3_600_000).then(
      () => true,
      () => false,
    )
    return Promise.race([skipped, late]).finally(() => clearTimeout(timer))
  }

  async close(): Promise<void> {
    // One that is under way when the connection closes would be tried again, and fail where nobody catches it.
    for (const advance of this.#advancing) advance.abort()
    await this.environment.teardown()
    this.#release()
  }
}

/** @throws TidemarkError CONFIG_INVALID where the package is not there */
export async function temporalTesting() {
  try {
    return await import('@temporalio/testing')
  } catch (error) {
    throw new TidemarkError(
      'CONFIG_INVALID',
      "tidemark/testing needs the package '@temporalio/testing': npm install --save-dev @temporalio/testing",
      { cause: error },
    )
  }
}
