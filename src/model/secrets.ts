/** What must never be shown of the parts of a config. Not a property of them: nobody prints it with them. */
const held = new WeakMap<object, readonly string[]>()

/** Notes the secrets in a part's settings: passwords, keys. Returns the part. */
export function withSecrets<T extends object>(part: T, secrets: readonly string[]): T {
  held.set(part, secrets)
  return part
}

/** Empty for a part that has none. */
export function secretsOf(part: object): readonly string[] {
  return held.get(part) ?? []
}
