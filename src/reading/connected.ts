interface Closable {
  close(): Promise<unknown>
}

/**
 * Lets a client connect, once: what it has opened is closed again when it can't be had, or when `signal` aborts meanwhile.
 *
 * @param connect what there is to do before the client is of use
 */
export async function connected<C extends Closable>(
  client: C,
  signal: AbortSignal,
  connect: (client: C) => Promise<unknown>,
): Promise<C> {
  const onAbort = () => void client.close().catch(() => {})
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    signal.throwIfAborted()
    await connect(client)
    signal.throwIfAborted()
    return client
  } catch (error) {
    await client.close()
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
