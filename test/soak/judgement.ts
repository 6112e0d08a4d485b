import type { Sample } from './sample.js'

/** How one figure went on, between the beginning of a soak (without its first tenth) and its end. */
export interface Figure {
  readonly name: string
  readonly unit: 'bytes' | 'count'
  readonly before: number
  readonly after: number
  /** Growth up to this is noise. */
  readonly allowed: number
  readonly most: number
  readonly isFlat: boolean
}

/** Growth that is noise: the greater of both. */
interface Noise {
  readonly share: number
  readonly least: number
  /** The least in a short run. Default: the same. */
  readonly leastOfFew?: number
}

const MB = 2 ** 20
const noises: Readonly<Record<string, Noise>> = {
  heap: { share: 0.1, least: 5 * MB },
  external: { share: 0.1, least: 5 * MB },
  // In a short run no moment may be without a deploy, whose workflows' heaps take 60 MB.
  rss: { share: 0.1, least: 40 * MB, leastOfFew: 80 * MB },
}
/*
 * A short run has windows of 18 s, in which no moment may be quiet: then the least value has some of what batches, polls and deploys hold:
 * runs of a minute differed by 16 listeners and 15 timers, runs of 4 minutes by 2 of each. A leak of one a batch adds 50 in a minute.
 */
const ofCounts: Readonly<Record<string, Noise>> = {
  'abort listeners': { share: 0.15, least: 30 },
  // A connection has some 25.
  'event listeners': { share: 0.15, least: 200 },
  'process listeners': { share: 0, least: 0 },
  timers: { share: 0.15, least: 25 },
}
/** Fewer samples than this are a short run. */
const fewSamples = 200
const ofOthers: Noise = { share: 0.1, least: 8 }

/**
 * Whether a soak was flat after its first tenth, and after `cold` samples: a short one has not done everything once by then. Compares the first and the last third of what follows, each by its least value: what is in
 * hand at a moment (a deploy, during which there are two workers, a batch, a fetch) only adds, and what leaks is there at all times. A
 * median would not do: half of the samples fall into a deploy, more or less, by chance.
 */
export function judge(samples: readonly Sample[], cold = 0): Figure[] {
  const settled = samples.slice(Math.max(Math.ceil(samples.length / 10), cold))
  const third = Math.floor(settled.length / 3)
  if (third < 3) throw new Error(`${samples.length} samples are too few to tell anything`)
  const figure = (name: string, unit: Figure['unit'], read: (sample: Sample) => number, noise: Noise): Figure => {
    const before = Math.min(...settled.slice(0, third).map(read))
    const after = Math.min(...settled.slice(-third).map(read))
    const least = samples.length < fewSamples ? (noise.leastOfFew ?? noise.least) : noise.least
    const allowed = Math.max(before * noise.share, least)
    return {
      name,
      unit,
      before,
      after,
      allowed,
      most: Math.max(...settled.map(read)),
      isFlat: after - before <= allowed,
    }
  }
  const { memory, counts } = settled[0]!
  return [
    ...Object.keys(memory).map((name) => figure(name, 'bytes', (sample) => sample.memory[name]!, noises[name]!)),
    ...Object.keys(counts).map((name) =>
      figure(name, 'count', (sample) => sample.counts[name] ?? 0, ofCounts[name] ?? ofOthers),
    ),
  ]
}

/** Busy groups that handled nothing in the last third: a worker that stands still is flat, too. */
export function idleGroups(samples: readonly Sample[], busy: readonly string[]): string[] {
  const last = samples.at(-1)?.handled ?? {}
  const before = samples.at(-Math.ceil(samples.length / 3))?.handled ?? {}
  return busy.filter((group) => !((last[group] ?? 0) > (before[group] ?? 0)))
}
