/** The parts of Babel's types that are needed here; Babel itself is a part of jiti, without types. */
interface Expression {
  readonly type: string
  readonly object: { readonly type: string; readonly meta?: { readonly name: string } }
  readonly property: { readonly type: string; readonly name?: string }
}
interface ExpressionPath {
  readonly node: Expression
  replaceWithSourceString(code: string): void
}
interface BabelFile {
  readonly path: { traverse(visitor: { MemberExpression(path: ExpressionPath): void }): void }
}

const replacements: Readonly<Record<string, string>> = {
  url: "require('node:url').pathToFileURL(__filename).href",
  filename: '__filename',
  dirname: '__dirname',
}

/**
 * A Babel plugin: says `import.meta.url` without naming the file. jiti would write the file's path into the code, and so into the text of a
 * handler, which is a part of the config's version: it would be another one in each folder that the same config is deployed to.
 */
export function keepImportMeta(): object {
  return {
    name: 'tidemark-import-meta',
    // Before any visitor, jiti's included.
    pre(file: BabelFile) {
      file.path.traverse({
        MemberExpression(path) {
          const { object, property } = path.node
          if (object.type !== 'MetaProperty' || object.meta?.name !== 'import' || property.type !== 'Identifier') return
          const code = replacements[property.name ?? '']
          if (code !== undefined) path.replaceWithSourceString(code)
        },
      })
    },
  }
}
