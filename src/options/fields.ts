import { z } from 'zod'
import { type Duration, parseDuration } from '../model/units.js'

/* Fields that the options of several sources and stores have. */

/** A duration of at least so many ms, parsed to ms. */
export const duration = (fallback: Duration, least: number) =>
  z
    .union([z.number(), z.string()], { error: "must be a duration like '3s', or a number of milliseconds" })
    .default(fallback)
    .transform((value, context) => {
      const ms = parseDuration(value)
      if (ms === undefined)
        context.addIssue(`'${value}' is not a duration; use '500ms', '3s' or a number of milliseconds`)
      else if (ms < least) context.addIssue(`must be at least ${least}ms`)
      return ms ?? z.NEVER
    })

export const flag = z.boolean({ error: 'must be true or false' })

/** On, off, or what Node takes for a TLS socket. */
export const tls = z.union([z.boolean(), z.record(z.string(), z.unknown())], { error: 'must be true or TLS options' })
