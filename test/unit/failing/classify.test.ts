import { describe, expect, it, vi } from 'vitest'
import { type Classify, faultOf } from '../../../activities/failing/classify.js'
import { TidemarkError } from '../../../src/model/errors.js'
import { DownstreamUnavailable, PartialFailure, Poison } from '../../../src/model/handler-errors.js'

const quiet = () => {}
const seen = (thrown: unknown, classify?: Classify) => faultOf(thrown, classify, quiet)
const errorWith = (fields: object, message = 'it failed') => Object.assign(new Error(message), fields)
const retryable = { class: 'retryable' }
const away = (dependency: string) => ({ class: 'unavailable', dependency })

describe('the class of an error', () => {
  it.each<[what: string, thrown: unknown, fault: object]>([
    ['any error', new TypeError('x is undefined'), retryable],
    ['text', 'no', retryable],
    ['nothing', undefined, retryable],
    [
      'an object that throws when it is looked at',
      new Proxy(
        {},
        {
          get: () => {
            throw new Error('no')
          },
        },
      ),
      retryable,
    ],
    ['Poison', new Poison('no such product'), { class: 'poison' }],
    ['DownstreamUnavailable', new DownstreamUnavailable('payments'), away('payments')],
    [
      'one behind another error',
      new Error('order failed', { cause: new DownstreamUnavailable('payments') }),
      away('payments'),
    ],
    [
      'one that a second copy of the package made',
      Object.assign(new Error('x'), { name: 'Poison' }),
      { class: 'poison' },
    ],
    ['what stands in a PartialFailure', new PartialFailure([], new Poison('no')), { class: 'poison' }],
    [
      'a refused connection',
      errorWith({ code: 'ECONNREFUSED', address: '10.0.0.7', port: 8080 }),
      away('10.0.0.7:8080'),
    ],
    [
      'that of fetch',
      new TypeError('fetch failed', { cause: errorWith({ code: 'ECONNREFUSED', address: '::1', port: 80 }) }),
      away('::1:80'),
    ],
    [
      'several addresses',
      new AggregateError([errorWith({ code: 'ECONNREFUSED', address: '1.1.1.1', port: 1 })], ''),
      away('1.1.1.1:1'),
    ],
    [
      '429',
      errorWith({ status: 429, config: { url: 'https://api.example.com/pay?token=secret' } }),
      away('api.example.com'),
    ],
    ['503', errorWith({ response: { status: 503 } }), away('a service that answers 503')],
    ['500', errorWith({ status: 500 }), retryable],
    ['a serialization failure', errorWith({ code: '40001', severity: 'ERROR' }), { class: 'transient' }],
    ['a deadlock', errorWith({ code: '40P01', severity: 'ERROR' }), { class: 'transient' }],
    ['a full disk', errorWith({ code: '53100', severity: 'ERROR' }), away('the database')],
    ['a database that shuts down', errorWith({ code: '57P01', severity: 'FATAL' }), away('the database')],
    ['a broken connection of pg', new Error('Connection terminated unexpectedly'), away('the database')],
    ['a constraint', errorWith({ code: '23505', severity: 'ERROR' }), retryable],
    ['a code of somebody else', errorWith({ code: '53100' }), retryable],
    ['a part of Tidemark out of reach', new TidemarkError('UNREACHABLE', 'no'), away('what the handler writes to')],
  ])('%s', (_, thrown, fault) => {
    expect(seen(thrown)).toEqual(fault)
  })

  it('is what the classifier says, of what it was given', () => {
    const thrown = new Error('x')
    const classify = vi.fn<Classify>(() => 'poison')
    expect(seen(thrown, classify)).toEqual({ class: 'poison' })
    expect(classify).toHaveBeenCalledWith(thrown)
    expect(seen(thrown, () => new DownstreamUnavailable('mail'))).toEqual(away('mail'))
    expect(seen(errorWith({ status: 503 }), () => 'retryable')).toEqual(retryable)
    expect(seen(errorWith({ code: '40001', severity: 'ERROR' }), () => undefined)).toEqual({ class: 'transient' })
  })

  it("is the class's own where the handler throws one of Tidemark's, whatever the classifier says", () => {
    expect(seen(new Poison('no'), () => 'retryable')).toEqual({ class: 'poison' })
  })

  it.each<[what: string, classify: unknown]>([
    [
      'throws',
      () => {
        throw new Error('boom')
      },
    ],
    ['returns a promise', async () => 'poison'],
    ['returns what means nothing', () => 'fatal'],
  ])('is retryable where the classifier %s, and that is said', (_, classify) => {
    const told = vi.fn()
    expect(faultOf(new Error('x'), classify as Classify, told)).toEqual(retryable)
    expect(told).toHaveBeenCalledOnce()
  })
})
