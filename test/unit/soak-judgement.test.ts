import { expect, it } from 'vitest'
import { idleGroups, judge } from '../soak/judgement.js'
import type { Sample } from '../soak/sample.js'

const MB = 2 ** 20
type Change = (round: number) => Partial<Record<'heap' | 'rss' | 'abort listeners' | 'connections to Kafka', number>>

/** Samples of a worker that is warm after 6 of 60 and holds, for a moment, what a batch or a deploy takes. */
function samples(change: Change = () => ({})): Sample[] {
  return Array.from({ length: 60 }, (_, round) => {
    const warm = Math.min(1, round / 6)
    const busy = round % 7 === 0 ? 2 : 1
    const more = change(round)
    const of = (name: keyof ReturnType<Change>, value: number) => value + (more[name] ?? 0)
    return {
      memory: { heap: of('heap', 50 * warm * MB + (round % 3) * MB), rss: of('rss', 300 * warm * MB) },
      counts: {
        'abort listeners': of('abort listeners', 60 * busy + (round % 5)),
        'connections to Kafka': of('connections to Kafka', 6 * busy),
      },
      handled: { busy: round * 100 },
    }
  })
}

const growing = (change?: Change) =>
  judge(samples(change))
    .filter(({ isFlat }) => !isFlat)
    .map(({ name }) => name)

it('a soak that is warm after its first tenth is flat, whatever it holds for a moment', () => {
  expect(growing()).toEqual([])
})

it('what has grown in the first tenth alone is no leak', () => {
  expect(growing((round) => ({ heap: round < 6 ? 0 : 40 * MB }))).toEqual([])
})

it('what has grown until everything was done once is no leak', () => {
  const warming = samples((round) => ({ heap: Math.min(round, 15) * 2 * MB }))
  expect(judge(warming).some(({ isFlat }) => !isFlat)).toBe(true)
  expect(judge(warming, 15).every(({ isFlat }) => isFlat)).toBe(true)
})

it('a listener for each batch is a leak', () => {
  expect(growing((round) => ({ 'abort listeners': round }))).toEqual(['abort listeners'])
})

it('a connection every few samples is a leak', () => {
  expect(growing((round) => ({ 'connections to Kafka': Math.floor(round / 3) }))).toEqual(['connections to Kafka'])
})

it('a kilobyte for each of 200 messages a second is a leak', () => {
  expect(growing((round) => ({ heap: round * 200 * 1024 }))).toEqual(['heap'])
})

it('memory outside of the heap is looked at, too', () => {
  expect(growing((round) => ({ rss: round * 4 * MB }))).toEqual(['rss'])
})

it('a soak that was too short to tell anything is refused', () => {
  expect(() => judge(samples().slice(0, 8))).toThrow('8 samples are too few')
})

it('a group that handles nothing any more is named', () => {
  const stuck = samples().map((sample, round) => ({
    ...sample,
    handled: { busy: round * 100, stuck: Math.min(round, 20) },
  }))
  expect(idleGroups(stuck, ['busy', 'stuck', 'never'])).toEqual(['stuck', 'never'])
})
