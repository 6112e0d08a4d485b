/** Somebody answers who does not speak the streams' protocol. */
export class WrongPort extends Error {
  override readonly name = 'WrongPort'
}

/*
 * What other servers say first, which is mostly a port mixed up with another one of the same broker. A frame of the streams'
 * protocol begins with its length, and none of a handshake is longer than a few kilobytes.
 */
const greetings: readonly (readonly [first: Buffer, who: string])[] = [
  [Buffer.from('AMQP'), "this is RabbitMQ's AMQP port (5672 as a rule); streams have a port of their own, 5552"],
  [Buffer.from('HTTP'), 'this is a port for HTTP; streams have a port of their own, 5552'],
  // A TLS alert: the answer to anything but a TLS greeting.
  [Buffer.from([0x15, 0x03]), "this port wants TLS: use the scheme rabbitmq-stream+tls, or 'ssl'"],
]

/** Who has sent these first bytes, for people; null where it may well be a broker's stream port. */
export function strangerOf(first: Buffer): string | null {
  return greetings.find(([greeting]) => first.subarray(0, greeting.length).equals(greeting))?.[1] ?? null
}
