/* Looks at what was thrown. Anything can be thrown, of any size, and looking at it can throw as well. */

/** Characters of a message that are taken before anything else is done with it. */
export const mostText = 16_000
/** Of a name or a code. */
const mostName = 80
/** Of a stack. A message that takes more than half of it is left out. */
const mostStack = 16_000
const mostFrames = 5
/** Issues of a validation error, and errors of an AggregateError, that are looked at. */
const mostInner = 5
/** Classes from an error's own upwards that are asked for a name. */
const mostClasses = 5

/** What can be told of a thrown thing in bounded time. */
export interface Thrown {
  /** `an error`, `an object`, `text`, `a number`, `undefined` and so on. */
  readonly what: string
  /** The class as the code names it, so nobody puts data there; null for what has no class of its own. */
  readonly className: string | null
  /** What an error calls itself, which may be any text. */
  readonly name: string | null
  /** May be any text, as well. */
  readonly code: string | null
  /** Its beginning, at most `mostText` characters; null where there is none. */
  readonly message: string | null
  /** Characters of the whole message. */
  readonly length: number
  /** It throws when it is looked at. */
  readonly unreadable: boolean
}

/** Reads each property at most once, and of texts only the beginning. Never throws. */
export function lookAt(thrown: unknown): Thrown {
  const bare = { className: null, name: null, code: null, message: null, length: 0, unreadable: false }
  switch (typeof thrown) {
    case 'string':
      return { ...bare, what: 'text', ...beginningOf(thrown) }
    case 'bigint':
      // The text of a huge one takes seconds.
      if (BigInt.asIntN(64, thrown) !== thrown) return { ...bare, what: 'a bigint' }
      return { ...bare, what: 'a bigint', ...beginningOf(String(thrown)) }
    case 'number':
    case 'boolean':
    case 'symbol':
      return { ...bare, what: `a ${typeof thrown}`, ...beginningOf(String(thrown)) }
    case 'function':
      return { ...bare, what: 'a function' }
    case 'undefined':
      return { ...bare, what: 'undefined' }
    case 'object':
      return thrown === null ? { ...bare, what: 'null' } : lookInto(thrown)
  }
}

function lookInto(thrown: object): Thrown {
  const isError = unlessItThrows(() => thrown instanceof Error)
  const message = messageIn(thrown)
  const name = read(thrown, 'name')
  const code = read(thrown, 'code')
  return {
    what: isError ? 'an error' : 'an object',
    className: classOf(thrown),
    name: typeof name === 'string' && name !== '' ? name.slice(0, mostName) : null,
    code: typeof code === 'string' || typeof code === 'number' ? String(code).slice(0, mostName) || null : null,
    ...(typeof message === 'string' && message !== '' ? beginningOf(message) : { message: null, length: 0 }),
    unreadable: isError === undefined || message === unreadable,
  }
}

/**
 * Where an error came from: the innermost frames of its stack, without the text above them. Never throws.
 *
 * @param length characters of its message, which stands in front of the frames
 */
export function framesOf(
  thrown: unknown,
  { length }: Pick<Thrown, 'length'>,
  most: number = mostFrames,
): readonly string[] {
  const stack = isObject(thrown) ? read(thrown, 'stack') : undefined
  if (typeof stack !== 'string') return []
  const from = length > mostStack / 2 && stack.length > length ? length : 0
  return stack
    .slice(from, from + mostStack)
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, most)
    .map((frame) => frame.trim())
}

/** What lies directly behind an error: its cause, and the first errors of an AggregateError. Never throws. */
export function behind(thrown: unknown): readonly unknown[] {
  if (!isObject(thrown)) return []
  const cause = read(thrown, 'cause')
  const inner = unlessItThrows(() => firstOf(read(thrown, 'errors'))) ?? []
  return [...(cause === undefined || cause === unreadable ? [] : [cause]), ...inner]
}

/** Undefined where looking throws. */
export function unlessItThrows<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch {
    return undefined
  }
}

const unreadable = Symbol('unreadable')

function read(thing: object, property: string): unknown {
  try {
    return Reflect.get(thing, property)
  } catch {
    return unreadable
  }
}

function beginningOf(text: string) {
  return { message: text.slice(0, mostText), length: text.length }
}

function messageIn(thrown: object): unknown {
  const issues = unlessItThrows(() => issuesIn(thrown))
  if (issues !== undefined) return issues
  const message = read(thrown, 'message')
  const inner = unlessItThrows(() => (thrown instanceof AggregateError ? innerTexts(thrown) : undefined))
  if (inner === undefined || (typeof message === 'string' && message.length > mostText)) return message
  return typeof message === 'string' && message !== '' ? `${message}: ${inner}` : inner
}

/**
 * A validation error (zod's, for example) makes its message when somebody asks, of all that is wrong: seconds for a large document. Its
 * first issues say as much.
 */
function issuesIn(thrown: object): string | undefined {
  const made = Object.getOwnPropertyDescriptor(thrown, 'message') ?? inherited(thrown, 'message')
  if (made?.get === undefined) return undefined
  const issues: unknown = Reflect.get(thrown, 'issues')
  if (!Array.isArray(issues) || issues.length === 0) return undefined
  const first = firstOf(issues).map(issueText)
  const more = issues.length > first.length ? [`and ${issues.length - first.length} more`] : []
  return [...first, ...more].join('; ')
}

function issueText(issue: unknown): string {
  if (!isObject(issue)) return 'an issue'
  const [path, message] = [Reflect.get(issue, 'path'), Reflect.get(issue, 'message')]
  const steps = Array.isArray(path) ? path.slice(0, 10).map((step) => lookAt(step).message?.slice(0, mostName)) : []
  const text = typeof message === 'string' ? message.slice(0, 500) : 'an issue'
  return steps.length > 0 ? `${steps.join('.')}: ${text}` : text
}

/** What the errors in an AggregateError say: its own message is empty, or says only that there are several. */
function innerTexts(thrown: object): string | undefined {
  const inner = firstOf(Reflect.get(thrown, 'errors')).flatMap((one) => {
    const message = isObject(one) ? read(one, 'message') : one
    return typeof message === 'string' && message !== '' ? [message.slice(0, 500)] : []
  })
  return inner.length > 0 ? inner.join('; ') : undefined
}

function firstOf(list: unknown): readonly unknown[] {
  return Array.isArray(list) ? list.slice(0, mostInner) : []
}

/** Not the name that the error gives itself. */
function classOf(thrown: object): string | null {
  return (
    unlessItThrows(() => {
      let prototype: unknown = Object.getPrototypeOf(thrown)
      for (let step = 0; step < mostClasses && isObject(prototype) && prototype !== Object.prototype; step++) {
        const made: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value
        const name: unknown = typeof made === 'function' && Object.getOwnPropertyDescriptor(made, 'name')?.value
        if (typeof name === 'string' && /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(name.slice(0, mostName)))
          return name.slice(0, mostName)
        prototype = Object.getPrototypeOf(prototype)
      }
      return null
    }) ?? null
  )
}

function inherited(thing: object, property: string): PropertyDescriptor | undefined {
  let prototype: unknown = Object.getPrototypeOf(thing)
  for (let step = 0; step < mostClasses && isObject(prototype); step++) {
    const found = Object.getOwnPropertyDescriptor(prototype, property)
    if (found) return found
    prototype = Object.getPrototypeOf(prototype)
  }
  return undefined
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
