import { fileURLToPath } from 'node:url'

/** Frames of an error that are shown. */
const most = 5
const here = ['../', '../../src/', '../../workflows/'].map((folder) => fileURLToPath(new URL(folder, import.meta.url)))
const nobodys = /\bnode:|\(native\)|\(index \d+\)|\(<anonymous>\)|[\\/]@temporalio[\\/]/

/**
 * The frames that help to find an error: the innermost one, those of the code around Tidemark, and as many of libraries as there is room
 * for, in their order. Frames of Tidemark itself, of Temporal's SDK that calls it, and of Node count only where there are no others.
 */
export function tellingFrames(frames: readonly string[]): readonly string[] {
  const others = frames.filter((frame) => !nobodys.test(frame) && !here.some((folder) => frame.includes(folder)))
  if (others.length === 0) return frames.slice(0, most)
  const theirs = others.filter((frame, index) => index === 0 || !frame.includes('node_modules'))
  const shown = new Set(theirs.slice(0, most))
  for (const frame of others) if (shown.size < most) shown.add(frame)
  return others.filter((frame) => shown.has(frame))
}
