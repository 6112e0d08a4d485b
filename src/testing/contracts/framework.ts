/** What the suites need of a test framework: vitest's functions, or those of `node:test` with an `expect` of jest. */
export interface TestFramework {
  describe(name: string, body: () => void): unknown
  it(name: string, body: () => Promise<void>): unknown
  readonly expect: Expect
  beforeEach(action: () => Promise<void>): unknown
  afterEach(action: () => Promise<void>): unknown
  /** Called `before` and `after` by `node:test`. */
  readonly beforeAll?: (action: () => Promise<void>) => unknown
  readonly afterAll?: (action: () => Promise<void>) => unknown
  readonly before?: (action: () => Promise<void>) => unknown
  readonly after?: (action: () => Promise<void>) => unknown
}

/** The part of jest's and vitest's `expect` that the suites use. */
export interface Expect {
  (value: unknown): Expectations & { readonly not: Expectations; readonly rejects: Expectations<Promise<void>> }
  // biome-ignore lint/suspicious/noExplicitAny: asymmetric matchers have no common type
  any(type: DateConstructor): any
}

export interface Expectations<R = void> {
  toBe(expected: unknown): R
  toEqual(expected: unknown): R
  toMatchObject(expected: object): R
  toHaveLength(length: number): R
  toContain(part: unknown): R
  toContainEqual(part: unknown): R
  toBeNull(): R
  toBeUndefined(): R
  toBeGreaterThan(than: number | bigint): R
  toBeGreaterThanOrEqual(than: number | bigint): R
  toBeLessThan(than: number | bigint): R
  toBeLessThanOrEqual(than: number | bigint): R
}

/** The framework with one name for each hook. Throws where one is missing. */
export function hooksOf({ beforeAll, afterAll, before, after, ...others }: TestFramework) {
  const [first, last] = [beforeAll ?? before, afterAll ?? after]
  if (!first || !last)
    throw new TypeError('the test framework must have beforeAll and afterAll, or before and after as in node:test')
  return { ...others, beforeAll: first, afterAll: last }
}
