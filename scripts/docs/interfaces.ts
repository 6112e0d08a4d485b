import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import ts from 'typescript'

/** An option as its interface declares it. */
export interface Member {
  /** With the objects it stands in: `batch.maxMessages`. */
  readonly name: string
  /** As it is written, in one line. */
  readonly type: string
  readonly isOptional: boolean
  /** Its docstring; empty where there is none. */
  readonly meaning: string
}

type Wanted = (name: string) => boolean

/**
 * Members of an interface, those it inherits first, and those of objects and interfaces that its members are. Reads the syntax only, because
 * a type checker would take seconds: it understands what the option interfaces are made of, and throws for anything else.
 */
export function membersOf(file: string, interfaceName: string): readonly Member[] {
  const source = parsed(file)
  const found = source.statements.find(
    (one): one is ts.InterfaceDeclaration => ts.isInterfaceDeclaration(one) && one.name.text === interfaceName,
  )
  if (!found) return membersOf(importedFrom(source, interfaceName), interfaceName)
  const parents = found.heritageClauses?.flatMap(({ types }) => types) ?? []
  return [
    ...parents.flatMap((parent) => inherited(source, parent)),
    ...found.members.flatMap((member) => memberOf(source, member, '')),
  ]
}

const files = new Map<string, ts.SourceFile>()

function parsed(file: string): ts.SourceFile {
  const known = files.get(file)
  if (known) return known
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ES2022, true)
  files.set(file, source)
  return source
}

/** `extends Base<V>` and `extends Pick<Base<V>, 'a' | 'b'>`. */
function inherited(source: ts.SourceFile, parent: ts.ExpressionWithTypeArguments): readonly Member[] {
  const name = parent.expression.getText(source)
  if (name !== 'Pick') return membersOf(source.fileName, name)
  const [base, keys] = parent.typeArguments!
  if (!base || !keys || !ts.isTypeReferenceNode(base)) throw new Error(`${source.fileName}: can't read ${name}`)
  const picked = new Set([...keys.getText(source).matchAll(/'(\w+)'/g)].map(([, key]) => key))
  const isPicked: Wanted = (member) => picked.has(member.split('.')[0])
  return membersOf(source.fileName, base.typeName.getText(source)).filter((member) => isPicked(member.name))
}

function memberOf(source: ts.SourceFile, member: ts.TypeElement, prefix: string): readonly Member[] {
  if (!ts.isPropertySignature(member) || !member.type)
    throw new Error(`${source.fileName}: can't read ${member.getText(source)}`)
  const name = prefix + member.name.getText(source)
  const type = member.type
  const own: Member = {
    name,
    type: typeText(spelledOut(source, type)),
    isOptional: member.questionToken !== undefined,
    meaning: commentOf(member),
  }
  if (ts.isTypeLiteralNode(type))
    return [own, ...type.members.flatMap((inner) => memberOf(source, inner, `${name}.`))].map(asObject(own))
  const inner = ts.isTypeReferenceNode(type) ? localInterface(source, type.typeName.getText(source)) : undefined
  if (!inner) return [own]
  return [own, ...inner.members.flatMap((one) => memberOf(source, one, `${name}.`))].map(asObject(own))
}

/** Whose fields have rows of their own, does not list them again. */
function asObject(own: Member): (member: Member) => Member {
  return (member) => (member === own ? { ...own, type: 'object' } : member)
}

function localInterface(source: ts.SourceFile, name: string): ts.InterfaceDeclaration | undefined {
  return source.statements.find(
    (one): one is ts.InterfaceDeclaration => ts.isInterfaceDeclaration(one) && one.name.text === name,
  )
}

function importedFrom(source: ts.SourceFile, name: string): string {
  const from = importsOf(source).get(name)
  if (from === undefined) throw new Error(`${source.fileName} has no ${name}, and imports none`)
  return join(dirname(source.fileName), from.replace(/\.js$/, '.ts'))
}

/** Imported names, and from where. */
function importsOf(source: ts.SourceFile): ReadonlyMap<string, string> {
  const imports = new Map<string, string>()
  for (const statement of source.statements) {
    if (!ts.isImportDeclaration(statement)) continue
    const names = statement.importClause?.namedBindings
    if (!names || !ts.isNamedImports(names)) continue
    for (const one of names.elements) imports.set(one.name.text, (statement.moduleSpecifier as ts.StringLiteral).text)
  }
  return imports
}

function commentOf(node: ts.Node): string {
  const [last] = ts.getJSDocCommentsAndTags(node).slice(-1)
  return last === undefined ? '' : (ts.getTextOfJSDocComment(last.comment) ?? '')
}

/** A named union of words and objects says more when it is written out. Units and functions have names that say enough. */
function spelledOut(source: ts.SourceFile, type: ts.TypeNode): string {
  const own = type.getText(source)
  if (!ts.isTypeReferenceNode(type) || ['Duration', 'Size'].includes(own)) return own
  const name = type.typeName.getText(source)
  const file = importsOf(source).get(name)
  if (file !== undefined && !file.startsWith('.')) return own
  const home = file === undefined ? source : parsed(importedFrom(source, name))
  const alias = home.statements.find(
    (one): one is ts.TypeAliasDeclaration => ts.isTypeAliasDeclaration(one) && one.name.text === name,
  )
  const text = alias?.type.getText(home)
  return alias && ts.isUnionTypeNode(alias.type) && text && /['{]/.test(text) && !text.includes('=>') ? text : own
}

/** Type parameters and `readonly` say nothing to people who write a config. */
function typeText(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .replace(/\breadonly /g, '')
    .replace(/<(V|unknown)>/g, '')
    .replace(/^\| /, '')
    .replace(/ \| undefined$/, '')
}
