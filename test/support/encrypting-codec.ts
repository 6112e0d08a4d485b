import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import type { Payload, PayloadCodec } from '@temporalio/common'

const encoding = 'binary/encrypted'

/** Encrypts whole payloads, as the SDK's sample does. */
export function encrypting(secret: string): PayloadCodec {
  const key = createHash('sha256').update(secret).digest()
  return {
    encode: async (payloads) => payloads.map((payload) => encrypted(payload, key)),
    decode: async (payloads) =>
      payloads.map((payload) =>
        Buffer.from(payload.metadata?.encoding ?? []).toString() === encoding ? decrypted(payload, key) : payload,
      ),
  }
}

function encrypted(payload: Payload, key: Buffer): Payload {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  const { metadata, data: plain } = payload
  const encoding64 = Buffer.from(metadata?.encoding ?? []).toString('base64')
  const bytes = JSON.stringify({ encoding: encoding64, data: Buffer.from(plain ?? []).toString('base64') })
  const data = Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()])
  return { metadata: { encoding: Buffer.from(encoding) }, data }
}

function decrypted({ data }: Payload, key: Buffer): Payload {
  const bytes = Buffer.from(data ?? [])
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12))
  decipher.setAuthTag(bytes.subarray(-16))
  const plain = Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()])
  const { encoding, data: inner } = JSON.parse(plain.toString()) as { encoding: string; data: string }
  return { metadata: { encoding: Buffer.from(encoding, 'base64') }, data: Buffer.from(inner, 'base64') }
}
