import { type SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'

export const formats = ['avro', 'json', 'protobuf'] as const
export type Format = (typeof formats)[number]

const schemas = {
  avro: {
    type: SchemaType.AVRO,
    schema: JSON.stringify({
      type: 'record',
      name: 'Order',
      fields: [
        { name: 'id', type: 'string' },
        { name: 'amount', type: 'int' },
      ],
    }),
  },
  json: {
    type: SchemaType.JSON,
    schema: JSON.stringify({
      type: 'object',
      properties: { id: { type: 'string' }, amount: { type: 'integer' } },
      required: ['id', 'amount'],
    }),
  },
  protobuf: {
    type: SchemaType.PROTOBUF,
    schema: 'syntax = "proto3"; package shop; message Order { string id = 1; int32 amount = 2; }',
  },
} as const

/** A producer's side: registers a schema of each format, and encodes orders as Confluent's own serializers do. */
export async function orderEncoders(registry: SchemaRegistry) {
  const ids = {} as Record<Format, number>
  for (const format of formats) {
    const { id } = await registry.register(schemas[format], { subject: `orders-${format}` })
    ids[format] = id
  }
  return async (format: Format, order: { readonly id: string; readonly amount: number }): Promise<Buffer> => {
    const encoded = await registry.encode(ids[format], order)
    if (format !== 'protobuf') return encoded
    // Behind the schema's ID stands which message of the file it is; 0 is the first one. This client leaves it out.
    return Buffer.concat([encoded.subarray(0, 5), Buffer.of(0), encoded.subarray(5)])
  }
}
