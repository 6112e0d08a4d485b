import { ranges } from '../../src/model/partition.js'

/** `3 s`, `4 min`, `2 h`, for people. */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1_000)
  if (seconds < 100) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 100 ? `${minutes} min` : `${Math.round(minutes / 60)} h`
}

/** `1 message`, `2 messages`. */
export function counted(count: number, noun: string, several = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : several}`
}

/** `0 to 2, 9`, of partitions in any order. */
export function listed(partitions: readonly number[]): string {
  return ranges([...partitions].sort((a, b) => a - b))
}

/** `partition 3`, `partitions 0 to 2, 9`. */
export function some(partitions: readonly number[]): string {
  return `${partitions.length === 1 ? 'partition' : 'partitions'} ${listed(partitions)}`
}
