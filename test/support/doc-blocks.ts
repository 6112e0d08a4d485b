import { readdirSync, readFileSync } from 'node:fs'

/** A block of code in a page. */
export interface DocBlock {
  /** `docs/offsets.md` */
  readonly page: string
  /** Of its first line of code. */
  readonly line: number
  readonly language: string
  readonly text: string
}

/** README and everything in docs/, but not the records of decisions, which say what was right then. */
export function docPages(): readonly string[] {
  const names = readdirSync('docs').filter((name) => name.endsWith('.md'))
  return ['README.md', ...names.map((name) => `docs/${name}`)]
}

export function docBlocks(...languages: readonly string[]): readonly DocBlock[] {
  return docPages().flatMap((page) => {
    const whole = readFileSync(page, 'utf8')
    return [...whole.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
      .map(([, language, text], index, all) => ({ page, line: 0, language: language!, text: text!, index, all }))
      .map(({ index, all, ...block }) => ({ ...block, line: whole.slice(0, all[index]!.index).split('\n').length + 1 }))
      .filter(({ language }) => languages.includes(language))
  })
}

/** A page without its blocks of code. */
export function prose(page: string): string {
  return readFileSync(page, 'utf8').replace(/^```[\s\S]*?^```$/gm, '')
}
