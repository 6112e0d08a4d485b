import type { z } from 'zod'

/** What zod keeps inside of a schema, as far as the way to a field leads through it. */
interface Inside {
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>
  readonly innerType?: z.core.$ZodType
  readonly in?: z.core.$ZodType
  readonly element?: z.core.$ZodType
  readonly options?: readonly z.core.$ZodType[]
}

/** Names of the fields that a schema allows at a path; none where it says nothing about fields. */
export function fieldsAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): readonly string[] {
  const { shape, innerType, in: input, element, options } = schema._zod.def as unknown as Inside
  const wrapped = innerType ?? input
  if (wrapped) return fieldsAt(wrapped, path)
  if (options) return options.flatMap((one) => fieldsAt(one, path))
  const [first, ...rest] = path
  if (first === undefined) return Object.keys(shape ?? {})
  const next = element ?? shape?.[String(first)]
  return next ? fieldsAt(next, rest) : []
}
