import { z } from 'zod'
import { problemOfSynchronous } from '../model/functions.js'

/** A function whose answer is used at once, so that a promise or a generator in its place is a mistake. */
export const synchronous = <F>(allowed: string) =>
  z.custom<F>((value) => problemOfSynchronous(value, allowed) === null, {
    error: ({ input }) => problemOfSynchronous(input, allowed) ?? allowed,
  })
