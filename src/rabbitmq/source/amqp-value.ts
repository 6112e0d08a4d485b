/** Anything that AMQP can say. Maps may have any keys; decimals stay bytes. */
export type AmqpValue = null | boolean | number | bigint | string | Buffer | Date | AmqpValue[] | AmqpMap | Described

export class AmqpMap {
  constructor(readonly entries: readonly (readonly [AmqpValue, AmqpValue])[]) {}
}

export class Described {
  constructor(
    readonly descriptor: AmqpValue,
    readonly value: AmqpValue,
  ) {}
}

/** A value as people read it: text as it is, numbers in decimal, whatever is nested as JSON. Bytes stay bytes. */
export function textOf(value: AmqpValue): string | Buffer | null {
  if (value === null || typeof value === 'string' || Buffer.isBuffer(value)) return value
  const plain = plainOf(value)
  return typeof plain === 'object' ? JSON.stringify(plain) : String(plain)
}

/** What JSON can say of a value: bytes in base64, big numbers as text, times as ISO 8601. */
function plainOf(value: AmqpValue): unknown {
  if (Buffer.isBuffer(value)) return value.toString('base64')
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (typeof value === 'bigint') {
    const small = Number(value)
    return Number.isSafeInteger(small) ? small : String(value)
  }
  // JSON has neither NaN nor infinity.
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  if (Array.isArray(value)) return value.map(plainOf)
  if (value instanceof Described) return plainOf(value.value)
  if (value instanceof AmqpMap)
    return Object.fromEntries(value.entries.map(([key, one]) => [String(textOf(key)), plainOf(one)]))
  return value
}
