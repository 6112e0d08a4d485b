import type { Message } from '../ports/index.js'

/** Where a consumer's run ends: at the head of its beginning, or behind the first message of each partition that says so. */
export type Until<V = unknown> = 'head' | ((message: Message<V>) => boolean)
