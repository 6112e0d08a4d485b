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
const ofSession = /\b(?:set_config\b|pg_(?:try_)?advisory_lock|pg_temp\b|(?:temp|temporary)\s|with\s+hold\b)/i
/** What DO and CALL run is not looked at. */
const sessionCommands = new Set('set reset listen unlisten load prepare deallocate discard do call'.split(' '))
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
  if (
    first === 'set' &&
    (setting === 'transaction_read_only' || / read only/.test(words.join(' '))) &&
    second !== 'session'
  )
    return { refused: 'it makes the transaction read only, but progress moves in it, too', session: false }
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

/** As the server's lexer has it: any character beyond ASCII belongs to a name, and either end of a line ends a comment. */
const token =
  /--[^\n\r]*|\/\*|'|"|\$(?:[a-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$|;|[a-z_\u0080-\uffff][\w$\u0080-\uffff]*|\d+/gi
/** What may stand between the pieces of one string. */
const betweenPieces = /^(?:\s|--[^\n\r]*)*$/

/**
 * The first words of each statement, in lower case, without comments. What is quoted is one word, cut.
 * https://www.postgresql.org/docs/current/sql-syntax-lexical.html
 *
 * @param backslashes whether a backslash escapes in every string, as without standard_conforming_strings
 */
function headsOf(text: string, backslashes: boolean): string[][] {
  const heads: string[][] = []
  let words: string[] = []
  const word = (found: string) => {
    if (words.length < mostWords) words.push(found)
  }
  let before = ''
  /** Where the last string with escapes ended: a string that only a line break parts from it goes on with it. */
  let escaped = -1
  token.lastIndex = 0
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const [found] = match
    const from = token.lastIndex
    if (found === ';') {
      if (words.length > 0) heads.push(words)
      words = []
    } else if (found === '/*') token.lastIndex = endOfComment(text, from)
    else if (found === "'") {
      const escapes =
        backslashes ||
        (before === 'e' && text[match.index - 1]?.toLowerCase() === 'e') ||
        (escaped >= 0 && betweenPieces.test(text.slice(escaped, match.index)))
      token.lastIndex = endOfQuoted(text, from, "'", escapes)
      escaped = escapes ? token.lastIndex : -1
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
