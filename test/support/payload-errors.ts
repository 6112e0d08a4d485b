import { inspect } from 'node:util'
import { ApplicationFailure, CancelledFailure } from '@temporalio/common'
import { z } from 'zod'
import type { TransactionContext } from '../../src/handlers/handler.js'
import { TidemarkError } from '../../src/model/errors.js'

/** What messages hold in tests that look for it elsewhere. */
export const payload = 'Jane "SENTINEL-7f3a9c" <Jane@Example.org>'
const amount = 81234.56
const short = 'q~x'

/** Each is a piece of the payload, as it is or as a handler has changed it. Text is to be searched in lower case. */
export const pieces = [
  'sentinel',
  '7f3a9c',
  'jane',
  '81234',
  short,
  Buffer.from(payload).toString('base64').toLowerCase(),
]

type Fail = (context: TransactionContext) => unknown

const fail = (thrown: unknown): Fail => {
  return () => {
    throw thrown
  }
}
const withField = (name: string, value: unknown = payload, message = 'no'): Fail =>
  fail(Object.defineProperty(new Error(message), name, { value, enumerable: true }))
const holdingItself = () => {
  const error = new AggregateError([new Error(payload)], payload)
  error.errors.push(error)
  error.cause = error
  return error
}

/** Ways for a handler to fail, each with a piece of the payload. They need the table and the trigger of `payloadTables`. */
export const payloadErrors: readonly (readonly [what: string, fail: Fail])[] = [
  ['a message', fail(new Error(`no customer ${payload}`))],
  ['a message in lower case', fail(new TypeError(payload.toLowerCase()))],
  ['a message with the payload as JSON', fail(new Error(JSON.stringify({ payload })))],
  ['a message in base64', fail(new Error(Buffer.from(payload).toString('base64')))],
  ['a derived number', fail(new RangeError(`${amount * 1e6} is out of range`))],
  ['a short value', fail(new Error(`no currency ${short}`))],
  ["JSON.parse's own text", () => JSON.parse(payload)],
  ['a huge message', fail(new Error(payload.repeat(100_000)))],
  ['a name', withField('name')],
  ['a code', withField('code')],
  ['a code that looks like one', withField('code', 'SENTINEL')],
  ['a stack', withField('stack', `Error: ${payload}\n    at ${payload} (file:1:1)`)],
  ['a cause', withField('cause', new Error(payload))],
  ['a constructor', withField('constructor', { name: payload })],
  ['text', fail(payload)],
  ['a symbol', fail(Symbol(payload))],
  ['an object', fail({ message: payload, code: payload })],
  [
    'what it shows to inspect',
    fail({ [inspect.custom]: () => payload, toJSON: () => payload, toString: () => payload }),
  ],
  ['errors that hold each other', fail(holdingItself())],
  ['a validation error', () => z.object({ a: z.never({ error: payload }) }).parse({ a: 1 })],
  ["Temporal's own failure", fail(ApplicationFailure.nonRetryable(payload, payload, payload))],
  ["Temporal's own cancellation", fail(new CancelledFailure(payload, [payload]))],
  ['what looks like a fenced owner', fail(new TidemarkError('FENCED', payload, { place: { group: payload } }))],
  ['what looks like a failed output', fail(new TidemarkError('OUTPUT_FAILED', payload))],
  ['a value that Postgres refuses', ({ tx }) => tx.query('select $1::int', [payload])],
  ['a row that is there', ({ tx }) => tx.query('insert into seen (value) values ($1), ($1)', [payload])],
  ['a message of a trigger', ({ tx }) => tx.query('insert into checked (value) values ($1)', [payload])],
  ['an event for a stream that is missing', ({ outbox }) => outbox(payload, [{ value: 1 }])],
  ['a topic without an output', ({ produce }) => produce(payload, { value: 'a' })],
]

/** What a handler's statements fail at: a key, and a constraint that is checked at COMMIT. */
export const payloadTables = `
  create table seen (value text primary key);
  create table checked (value text);
  create function refuse_all() returns trigger language plpgsql as
    $$ begin raise exception 'refused %', new.value using detail = new.value, hint = new.value; end $$;
  create constraint trigger refuse_all after insert on checked deferrable initially deferred
    for each row execute function refuse_all();`
