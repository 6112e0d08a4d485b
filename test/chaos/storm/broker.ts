import { startStack } from '../../../src/local/stack.js'
import { Wire } from '../../support/wire.js'

/** A broker that sends all its clients over a wire. */
export interface WiredBroker {
  readonly wire: Wire
  stop(): Promise<void>
}

export async function startWiredBroker(): Promise<WiredBroker> {
  let wire: Wire | undefined
  const advertised = async (port: number) => {
    await wire?.close()
    wire = await Wire.to(`127.0.0.1:${port}`)
    return wire.port
  }
  const stack = await startStack({ kafka: { own: true, advertised } })
  return {
    wire: wire!,
    stop: async () => {
      await wire!.close()
      await stack.stop()
    },
  }
}
