import { type DeadLetter, listLettersIn } from '../client/letters/letter.js'
import { requestIn } from '../client/letters/requests.js'
import { type LetterSelection, selected } from '../client/letters/selection.js'
import { Session } from '../client/session.js'
import type { ParsedConfig } from '../config/parse.js'
import { waitFor } from './contracts/wait-for.js'

const most = 10_000

/** Messages that were set aside and are not done with, as `tidemark dead-letters list` shows them. */
export async function deadLettersOf(config: ParsedConfig, selection: LetterSelection): Promise<readonly DeadLetter[]> {
  return within(config, async (session) => (await listLettersIn(session, { ...selection, limit: most })).shown)
}

/** Asks for messages that were set aside, and waits until each was handled or has failed again. */
export async function redriven(config: ParsedConfig, selection: LetterSelection, timeoutMs: number): Promise<void> {
  await within(config, async (session) => {
    await requestIn(session, selection, { what: 'redrive', by: 'a test', reason: 'a test' })
    const asked = await selected(session, { ...selection, states: ['due', 'leaving'] })
    const left = async () => {
      const counts = await Promise.all(asked.map(({ letters, filter }) => letters.count(filter)))
      return counts.every(({ letters }) => letters === 0)
    }
    await waitFor(left, { what: 'the messages that were set aside', timeout: timeoutMs })
  })
}

async function within<T>(config: ParsedConfig, work: (session: Session) => Promise<T>): Promise<T> {
  const session = new Session(config)
  try {
    return await work(session)
  } finally {
    await session.close()
  }
}
