import { randomBytes } from 'node:crypto'

/** `name-3f9c1a2b`: a name no other test uses, for topics, groups, task queues. */
export function unique(name: string): string {
  return `${name}-${randomBytes(4).toString('hex')}`
}
