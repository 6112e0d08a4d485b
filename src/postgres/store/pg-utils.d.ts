/* A part of the driver that its types leave out. */

declare module 'pg/lib/utils.js' {
  /** A value as the driver sends it as a query's parameter: text, bytes, or null. Throws for what JSON can't say. */
  export function prepareValue(value: unknown): unknown
}
