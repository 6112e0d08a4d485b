import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { tellingFrames } from '../../../activities/errors/telling-frames.js'

const own = `at deliver (${fileURLToPath(new URL('../../../activities/handling/deliverer.ts', import.meta.url))}:9:1)`
const node = 'at process.processTicksAndRejections (node:internal/process/task_queues:95:5)'
const library = (line: number) => `at parse (/app/node_modules/zod/index.js:${line}:1)`
const handler = 'at handle (/app/billing.ts:21:9)'

it("the frames of a person's code are shown behind many of a library", () => {
  const frames = [...Array.from({ length: 9 }, (_, line) => library(line)), handler, own, node]
  expect(tellingFrames(frames)).toEqual([library(0), library(1), library(2), library(3), handler])
})

it('frames of Tidemark and of Node are left out where there are others', () => {
  expect(tellingFrames([handler, own, node])).toEqual([handler])
  expect(tellingFrames([own, node])).toEqual([own, node])
})

it("frames of Temporal's SDK, and those that name no place, are left out where there are others", () => {
  const sdk = 'at async Activity.execute (/app/node_modules/@temporalio/worker/src/activity.ts:145:14)'
  const all = 'at async Promise.all (index 0)'
  expect(tellingFrames([library(0), handler, all, sdk, node])).toEqual([library(0), handler])
})
