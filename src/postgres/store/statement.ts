/* What a handler's SQL text does to the transaction and the session it runs in. Tidemark alone begins and ends transactions. */

export type TransactionCommand = 'begin' | 'commit' | 'rollback'

export interface StatementKind {
  /** Set where the text is a command that begins or ends a transaction, as an ORM's `transaction()` sends it. */
  readonly command?: TransactionCommand
  /** Why the text may not be sent. */
  readonly refused?: string
  /** The text may change what outlives the transaction: settings of the session, its temporary tables, its locks. */
  readonly session: boolean
}

const plain: StatementKind = { session: false }

/** Words that begin most statements, none of which concerns transactions or sessions. */
const ordinary = /^\s*(?:insert|select|update|delete|with|merge|copy|values|table)\b/i
const transactional = /\b(?:begin|start|commit|end|rollback|abort|prepare|set|reset|discard)\b/i
const ofSession = /\b(?:set_config\s*\(|pg_(?:try_)?advisory_lock|(?:temp|temporary)\s|with\s+hold\b)/i
const sessionCommands = new Set(['set', 'reset', 'listen', 'unlisten', 'load', 'prepare', 'deallocate', 'discard'])
/** SET of these ends with the transaction. */
const ofTransaction = new Set(['local', 'constraints', 'transaction'])

/** Looks at the first words of each statement in the text; never at values, which may be megabytes. */
export function kindOf(text: string): StatementKind {
  const end = text.indexOf(';')
  const single = end < 0 || text.slice(end + 1).trim() === ''
  if (single && ordinary.test(text)) return ofSession.test(text) ? { session: true } : plain
  if (!single && !transactional.test(text)) return { session: ofSession.test(text) }
  // Without standard_conforming_strings, a backslash escapes in any string: a text that hides a command either way is refused.
  const readings = text.includes('\\') ? [headsOf(text, false), headsOf(text, true)] : [headsOf(text, false)]
  const kinds = readings.flatMap((heads) => heads.map(kindOfOne))
  const refused = kinds.find((kind) => kind.refused !== undefined)
  if (refused) return refused
  const session = ofSession.test(text) || kinds.some((kind) => kind.session)
  const command = kinds.find((kind) => kind.command)?.command
  if (!command) return { session }
  if (readings.every((heads) => heads.length === 1)) return { command, session }
  return {
    refused: `it sends ${command.toUpperCase()} in one text with other statements; send each statement by itself`,
    session,
  }
}

/** @param words the first words of a statement, in lower case */
function kindOfOne(words: readonly string[]): StatementKind {
  const [first = '', second = ''] = words
  const rest = words.slice(1).filter((word) => word !== 'work' && word !== 'transaction')
  if (rest[0] === 'prepared' || (first === 'prepare' && second === 'transaction'))
    return { refused: `it sends ${first.toUpperCase()} ${second.toUpperCase()}: two-phase commit`, session: true }
  if (first === 'begin' || (first === 'start' && second === 'transaction')) return beginning(rest)
  if (first === 'commit' || first === 'end') return ending('commit', rest)
  if (first === 'abort' || (first === 'rollback' && rest[0] !== 'to')) return ending('rollback', rest)
  if (first === 'reset' && second === 'all')
    return {
      refused: 'it sends RESET ALL, which clears the marks of the transaction; reset settings by name',
      session: true,
    }
  const setting = ofTransaction.has(second) || second === 'session' ? words[2] : second
  if (
    first === 'set' &&
    (setting === 'names' || setting === 'client_encoding') &&
    !words.some((word) => /^'?(?:utf_?8|unicode)'?$/.test(word))
  )
    return { refused: 'it changes client_encoding, but the driver reads and writes UTF-8 only', session: true }
  return { session: sessionCommands.has(first) && !(first === 'set' && ofTransaction.has(second)) }
}

/** Inside of Tidemark's transaction there is a savepoint instead, which has neither an isolation level nor an access mode of its own. */
function beginning(options: readonly string[]): StatementKind {
  const asked = options.join(' ')
  if (/^(?:isolation level read committed)? ?(?:read write)?$/.test(asked)) return { command: 'begin', session: false }
  return {
    refused: `it begins a transaction with '${asked}', but the chunk's transaction is open already; set default_transaction_isolation for the database user instead`,
    session: false,
  }
}

function ending(command: 'commit' | 'rollback', options: readonly string[]): StatementKind {
  const asked = options.join(' ')
  if (asked === '' || asked === 'and no chain') return { command, session: false }
  return { refused: `it sends ${command.toUpperCase()} ${asked.toUpperCase()}`, session: false }
}

/** More words of a statement than this decide nothing. */
const mostWords = 8
const longestWord = 20

/**
 * The first words of each statement, in lower case, without comments. What is quoted is one word, cut.
 *
 * @param backslashes whether a backslash escapes in every string, as without standard_conforming_strings
 */
function headsOf(text: string, backslashes: boolean): string[][] {
  const heads: string[][] = []
  let words: string[] = []
  const token = /--[^\n]*|\/\*|'|"|\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$|;|[\p{L}_][\p{L}\p{N}_$]*|\d[\p{L}\p{N}_.]*/gu
  const word = (found: string) => {
    if (words.length < mostWords) words.push(found)
  }
  let before = ''
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const [found] = match
    const from = token.lastIndex
    if (found === ';') {
      if (words.length > 0) heads.push(words)
      words = []
    } else if (found === '/*') token.lastIndex = endOfComment(text, from)
    else if (found === "'") {
      const escapes = backslashes || (before === 'e' && text[match.index - 1]?.toLowerCase() === 'e')
      token.lastIndex = endOfQuoted(text, from, "'", escapes)
      word(text.slice(match.index, Math.min(token.lastIndex, match.index + longestWord)).toLowerCase())
    } else if (found === '"') {
      token.lastIndex = endOfQuoted(text, from, '"', false)
      word('""')
    } else if (found.startsWith('$')) {
      const end = text.indexOf(found, from)
      token.lastIndex = end < 0 ? text.length : end + found.length
      word('$$')
    } else if (!found.startsWith('--')) word(found.toLowerCase())
    before = found.toLowerCase()
  }
  if (words.length > 0) heads.push(words)
  return heads
}

function endOfQuoted(text: string, from: number, quote: string, escapes: boolean): number {
  for (let at = from; at < text.length; at++) {
    if (escapes && text[at] === '\\') at++
    else if (text[at] === quote) {
      if (text[at + 1] !== quote) return at + 1
      at++
    }
  }
  return text.length
}

/** Comments nest. */
function endOfComment(text: string, from: number): number {
  let depth = 1
  for (let at = from; at < text.length - 1; at++) {
    const pair = text.slice(at, at + 2)
    if (pair === '/*') depth++
    else if (pair === '*/') depth--
    else continue
    at++
    if (depth === 0) return at + 1
  }
  return text.length
}
