/**
 * When a consumer's offset is committed. Progress inside a batch, which a crashed worker's successor goes on from, is another
 * thing: it moves with every chunk, whatever the strategy, except for `manual`.
 *
 * - `batch`    after each batch, by the workflow
 * - `messages` after every n messages; the handler gets no more than n at once
 * - `interval` at the end of the first chunk after so many ms
 * - `manual`   what the handler has stored, after so many ms or when it asks for it; nothing else, ever
 */
export type CommitStrategy =
  | { readonly after: 'batch' }
  | { readonly after: 'messages'; readonly messages: number }
  | { readonly after: 'interval'; readonly intervalMs: number }
  | { readonly after: 'manual'; readonly intervalMs: number }
