import { hash } from 'node:crypto'

/** Names the queue of a key among set-aside messages: two keys are never one queue, whatever their bytes. Messages without a key may share one. */
export function queueOf(key: Buffer | null): string {
  if (key === null) return 'without-key'
  return hash('sha256', key, 'base64url').slice(0, 22)
}
