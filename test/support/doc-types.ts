import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import ts from 'typescript'
import type { DocBlock } from './doc-blocks.js'

/** A block as a file of its own. */
interface BlockFile {
  readonly block: DocBlock
  readonly path: string
  readonly text: string
  /** The path that a block of a whole file begins with. */
  readonly isWhole: boolean
}

const preamble = resolve('test/docs/preamble.ts')

/** A fragment that is an option, `value: json()`, or several, stands in options of a source or of a consumer. */
const optionsOf = (text: string) =>
  /^value:/m.test(text)
    ? 'Partial<import("tidemark/kafka").KafkaOptions<any>>'
    : 'Partial<import("tidemark").ConsumerOptions<any>>'

/**
 * Checks the types of all blocks, in one program with Tidemark's sources. A block is a module of its own. One that begins with
 * `// a path` is a whole file; others may use what test/docs/preamble.ts declares.
 *
 * @returns mistakes: `docs/offsets.md:21: Cannot find name 'x'`
 */
export function typeMistakes(blocks: readonly DocBlock[]): readonly string[] {
  const files = blocks.filter(({ text }) => !isExample(text)).map(fileOf)
  const texts = new Map(files.map(({ path, text }) => [path, text]))
  const config = ts.getParsedCommandLineOfConfigFile(
    'tsconfig.json',
    {},
    { ...ts.sys, onUnRecoverableConfigFileDiagnostic: () => {} },
  )!
  const options: ts.CompilerOptions = {
    ...config.options,
    noEmit: true,
    noUnusedLocals: false,
    noUnusedParameters: false,
    isolatedModules: false,
  }
  const host = ts.createCompilerHost(options, true)
  const { fileExists, readFile, getSourceFile } = host
  host.fileExists = (path) => texts.has(path) || fileExists(path)
  host.directoryExists = (path) => [...texts.keys()].some((text) => text.startsWith(`${path}/`)) || existsSync(path)
  host.readFile = (path) => texts.get(path) ?? readFile(path)
  host.getSourceFile = (path, target, ...rest) => {
    const text = texts.get(path)
    return text === undefined ? getSourceFile(path, target, ...rest) : ts.createSourceFile(path, text, target, true)
  }
  const program = ts.createProgram([preamble, ...texts.keys()], options, host)
  return files.flatMap((file) => {
    const source = program.getSourceFile(file.path)!
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
    const told = found.map(({ start = 0, messageText }) =>
      mistakeAt(file, source, start, ts.flattenDiagnosticMessageText(messageText, ' ')),
    )
    return [...told, ...(file.isWhole ? borrowed(program, file, source) : [])]
  })
}

const named = (text: string) => /^\/\/ ([\w./-]+\.ts)\n/.exec(text)?.[1]

/** Is the file that it names, as another test checks, and so in the repository's own check of types. */
function isExample(text: string): boolean {
  const path = named(text)
  return path !== undefined && existsSync(path)
}

function fileOf(block: DocBlock, index: number): BlockFile {
  const { text } = block
  // Whole files of a page stand beside each other, so that one can import another.
  const folder = `test/docs/${block.page.replace(/\W/g, '-')}`
  const path = resolve(named(text) ? `${folder}/${named(text)}` : `test/docs/block-${index}.ts`)
  const isOption = /^\w+: /.test(text)
  const imports = /^import .*\n/gm
  const head = text.match(imports)?.join('') ?? ''
  const rest = text.replace(imports, '')
  if (isOption || (head && /^\s*\w+: /.test(rest)))
    return {
      block,
      path,
      isWhole: false,
      text: `${head}export const options = { ${rest.trim()} } satisfies ${optionsOf(rest)}\n`,
    }
  const isModule = /^(import|export) /m.test(text)
  return { block, path, isWhole: named(text) !== undefined, text: isModule ? text : `${text}\nexport {}\n` }
}

function mistakeAt({ block }: BlockFile, source: ts.SourceFile, start: number, message: string): string {
  const line = source.getLineAndCharacterOfPosition(start).line
  return `${block.page}:${block.line + line}: ${message}`
}

/** Names of the preamble in a whole file: whoever copies it does not have them. */
function borrowed(program: ts.Program, file: BlockFile, source: ts.SourceFile): readonly string[] {
  const checker = program.getTypeChecker()
  const mistakes: string[] = []
  const visit = (node: ts.Node): void => {
    const home = ts.isIdentifier(node)
      ? checker.getSymbolAtLocation(node)?.declarations?.[0]?.getSourceFile()
      : undefined
    const parent = home && checker.getSymbolAtLocation(node)?.declarations?.[0]?.parent
    const isGlobal = parent && (ts.isVariableDeclarationList(parent) || ts.isModuleBlock(parent))
    if (home?.fileName === preamble && isGlobal)
      mistakes.push(
        mistakeAt(file, source, node.getStart(), `'${node.getText()}' comes from nowhere: import or declare it`),
      )
    ts.forEachChild(node, visit)
  }
  visit(source)
  return mistakes
}
