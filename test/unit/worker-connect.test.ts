import { describe, expect, it } from 'vitest'
import { TidemarkError } from '../../src/model/errors.js'
import { askWithin } from '../../src/worker/connect.js'
import { silentLog } from '../support/silent-log.js'

describe('a question to a part that was there a moment ago', () => {
  const away = new TidemarkError('UNREACHABLE', 'Kafka at 127.0.0.1:9092 can not be reached')
  const waiting = (timeoutMs: number) => ({ timeoutMs, log: silentLog(), signal: new AbortController().signal })

  it('is asked again until the part is back', async () => {
    let asked = 0
    const ask = async () => {
      if (++asked < 2) throw away
      return [0, 1]
    }
    expect(await askWithin('Kafka', ask, waiting(10_000))).toEqual([0, 1])
  })

  it('fails at once where waiting does not mend it', async () => {
    let asked = 0
    const ask = async () => {
      asked++
      throw new TidemarkError('STREAM_NOT_FOUND', 'no such topic')
    }
    await expect(askWithin('Kafka', ask, waiting(10_000))).rejects.toThrow('no such topic')
    expect(asked).toBe(1)
  })

  it('fails when the time is over, and says which option sets it', async () => {
    const ask = () => Promise.reject(away)
    await expect(askWithin('Kafka', ask, waiting(100))).rejects.toThrow(
      /can not be reached .*connectTimeout sets how long/,
    )
  })
})
