import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { freePorts } from '../../src/local/free-ports.js'
import type { KafkaListener } from '../../src/local/kafka.js'
import { type Stack, startStack } from '../../src/local/stack.js'
import { type Certificates, makeCertificates } from './certificates.js'

export const password = 'correct-horse-battery'

/** A broker that wants to know its clients: by certificates at one address, by a login at another. */
export interface SecuredKafka {
  /** Without TLS or a login. */
  readonly plain: string
  /** Without them at an IPv6 address, which it also tells clients; of IPv4 where this machine has no other. */
  readonly ipv6: string
  /** TLS with certificates on both sides. */
  readonly mutual: string
  /** TLS and a login: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER. User `ada`, with `password`. */
  readonly login: string
  /** In PEM format. */
  readonly ca: string
  readonly cert: string
  readonly key: string
  close(): Promise<void>
}

export async function startSecuredKafka(): Promise<SecuredKafka> {
  const certificates = await makeCertificates()
  try {
    const [ca, cert, key] = await Promise.all([certificates.ca, certificates.cert, certificates.key].map(textOf))
    const [one, other, third] = await freePorts(3)
    const addresses = {
      mutual: `127.0.0.1:${one}`,
      login: `127.0.0.1:${other}`,
      ipv6: (await hasIpv6()) ? `[::1]:${third}` : `127.0.0.1:${third}`,
    }
    const stack = await startStack({
      kafka: {
        own: true,
        memory: '384m',
        listeners: [
          { name: 'MUTUAL', address: addresses.mutual, protocol: 'SSL' },
          { name: 'LOGIN', address: addresses.login, protocol: 'SASL_SSL' },
          { name: 'SIX', address: addresses.ipv6, protocol: 'PLAINTEXT' },
        ] satisfies KafkaListener[],
        scram: ['256', '512'].map((bits) => `SCRAM-SHA-${bits}=[name=ada,password=${password}]`),
        settings: await settingsOf(certificates, `${key}${cert}`),
      },
    })
    return {
      ...addresses,
      plain: stack.kafka.brokers[0]!,
      ca: ca!,
      cert: cert!,
      key: key!,
      close: () => end(stack, certificates),
    }
  } catch (error) {
    await certificates.remove()
    throw error
  }
}

async function settingsOf({ ca }: Certificates, own: string): Promise<Record<string, string>> {
  const store = join(dirname(ca), 'broker.pem')
  await writeFile(store, own)
  const security = 'org.apache.kafka.common.security'
  const jaas = (mechanism: string) => `listener.name.login.${mechanism}.sasl.jaas.config`
  return {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': store,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': ca,
    'listener.name.mutual.ssl.client.auth': 'required',
    'listener.name.login.sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
    [jaas('plain')]: `${security}.plain.PlainLoginModule required user_ada="${password}";`,
    [jaas('scram-sha-256')]: `${security}.scram.ScramLoginModule required;`,
    [jaas('scram-sha-512')]: `${security}.scram.ScramLoginModule required;`,
    // It takes tokens without a signature.
    [jaas('oauthbearer')]:
      `${security}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="kafka";`,
  }
}

/** A token without a signature, which lasts from 60 s ago for `seconds` from now. */
export function token(seconds: number): string {
  const now = Math.floor(Date.now() / 1000)
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'none' })}.${part({ sub: 'ada', iat: now - 60, exp: now + seconds })}.`
}

async function end(stack: Stack, certificates: Certificates): Promise<void> {
  await stack.stop()
  await certificates.remove()
}

function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8')
}

function hasIpv6(): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(0, '::1', () => server.close(() => resolve(true)))
  })
}
