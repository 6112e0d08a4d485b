import type { z } from 'zod'

/** What zod keeps inside of a schema, as far as its fields and defaults are found through it. */
interface Inside {
  readonly type: string
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>
  readonly innerType?: z.core.$ZodType
  readonly in?: z.core.$ZodType
  readonly defaultValue?: unknown
  /** `never` where no other fields are allowed. */
  readonly catchall?: z.core.$ZodType
}

/** A field as the schema checks it. */
export interface Field {
  /** With the objects it stands in: `batch.maxMessages`. */
  readonly name: string
  readonly schema: z.core.$ZodType
  /** As people would write it; undefined where the schema fills nothing in. */
  readonly fallback: unknown
}

/** All fields of an object's schema, those of objects in it as well. Fields that may only be left out are none. */
export function fieldsOf(schema: z.core.$ZodType, prefix = ''): readonly Field[] {
  const { shape, catchall } = bare(schema)
  // Of a loose object, the schema knows some fields, and the driver the others.
  if (!catchall || inside(catchall).type !== 'never') return []
  return Object.entries(shape ?? {}).flatMap(([key, field]) => {
    const name = `${prefix}${key}`
    if (bare(field).type === 'undefined') return []
    const own = { name, schema: field, fallback: fallbackOf(field) }
    const inner = fieldsOf(field, `${name}.`)
    return inner.length > 0 ? [{ ...own, fallback: undefined }, ...inner] : [own]
  })
}

function inside(schema: z.core.$ZodType): Inside {
  return schema._zod.def as unknown as Inside
}

/** Without what is wrapped around it: defaults, transforms, `optional`. */
function bare(schema: z.core.$ZodType): Inside {
  const def = inside(schema)
  const wrapped = def.innerType ?? def.in
  return wrapped ? bare(wrapped) : def
}

function fallbackOf(schema: z.core.$ZodType): unknown {
  const def = inside(schema)
  if (def.type === 'default' || def.type === 'prefault') return def.defaultValue
  const wrapped = def.innerType ?? def.in
  return wrapped && fallbackOf(wrapped)
}

/**
 * The least and the greatest value that a field takes, in the words of its own errors; empty where it has no such bounds.
 *
 * @param type the field's type in its interface, which says what extremes can be tried
 */
export function boundsOf(schema: z.core.$ZodType, type: string): string {
  const extremes = /^Duration( \| false)?$/.test(type)
    ? ['0ms', '999999d']
    : type === 'Size'
      ? ['0B', '999999999GB']
      : type === 'number'
        ? [0, Number.MAX_SAFE_INTEGER]
        : []
  const [least, most] = extremes.map((value) => boundIn(schema, value))
  if (least && most) return `${least} to ${most}`
  return least ? `from ${least}` : most ? `up to ${most}` : ''
}

function boundIn(schema: z.core.$ZodType, value: unknown): string | undefined {
  const { error } = (schema as z.ZodType).safeParse(value)
  const said = error?.issues.map(({ message }) => /(?:at (?:least|most)|from) (\d+(?:,\d{3})*\w*)/.exec(message)?.[1])
  return said?.find((one) => one !== undefined)
}
