export class NoJson extends SyntaxError {}

/** @throws NoJson, which quotes nothing; JSON.parse would */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new NoJson('the value is no JSON')
  }
}
