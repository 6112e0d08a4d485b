import { SchemaRegistry } from '@kafkajs/confluent-schema-registry'
import { Undecodable } from 'tidemark'

/**
 * Decodes values in Confluent's wire format: a zero byte, four bytes with the schema's ID, then Avro, JSON or Protobuf. Each schema is
 * fetched once.
 */
export function fromRegistry<V>(host: string): (bytes: Buffer) => Promise<V> {
  const registry = new SchemaRegistry({ host, clientId: 'tidemark' })

  return async function schemaRegistry(bytes) {
    if (bytes.length < 5 || bytes[0] !== 0) throw new Undecodable('it has no schema ID in front')
    const id = bytes.readInt32BE(1)
    try {
      await registry.getSchema(id)
    } catch (error) {
      // Producers register a schema before they write with it, so a registry that does not know it now won't know it later.
      if (isNotFound(error)) throw new Undecodable(`the registry has no schema ${id}`, { cause: error })
      // The registry is away, or refuses the login: the partition tries again.
      throw error
    }
    try {
      return (await registry.decode(bytes)) as V
    } catch (error) {
      throw new Undecodable(`it does not fit its schema ${id}`, { cause: error })
    }
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && Reflect.get(error, 'status') === 404
}
