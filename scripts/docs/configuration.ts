import { boundsOf, type Field, fieldsOf } from './fields.js'
import { type Member, membersOf } from './interfaces.js'
import { type Section, sections } from './sections.js'
import { cell, generated, table } from './text.js'

const intro = `# Configuration

All options, by the function that takes them. Types and meanings are those of the TypeScript interfaces, defaults and limits those that the check of
a config applies.

- \`Duration\`: text like \`'250ms'\`, \`'30s'\`, \`'5m'\`, \`'2h'\`, \`'7d'\`, or a number of milliseconds.
- \`Size\`: text like \`'512KB'\`, \`'8MB'\`, \`'1GB'\` (1KB is 1,024 bytes), or a number of bytes.
- An option without a default may be left out, except those marked *required*.
- A config is checked when a worker starts or a command uses it. A wrong or unknown option ends that with exit code 2 and a line for each mistake.
`

/** The text of docs/configuration.md. */
export function configurationPage(): string {
  const list = sections.map(({ title }) => `- [${headline(title)}](#${anchor(title)})`)
  return [
    generated('the option interfaces and their schemas'),
    intro,
    list.join('\n'),
    '',
    ...sections.map(sectionText),
  ]
    .join('\n')
    .trimEnd()
    .concat('\n')
}

/** What is declared but not checked, or checked but not declared, or has no docstring. */
export function disagreementsOf({ title, file, interfaceName, schema }: Section): readonly string[] {
  const members = membersOf(file, interfaceName)
  const fields = fieldsOf(schema)
  const problems: string[] = []
  for (const { name } of fields)
    if (!members.some((member) => member.name === name)) problems.push(`${title}: ${name} is checked, not declared`)
  for (const member of members) {
    const field = fields.find(({ name }) => name === member.name)
    if (!field) problems.push(`${title}: ${member.name} is declared, not checked`)
    else problems.push(...wrongDefault(member, field).map((problem) => `${title}: ${member.name}: ${problem}`))
    if (meaningOf(member) === '') problems.push(`${title}: ${member.name} has no docstring`)
  }
  return problems
}

function wrongDefault(member: Member, { fallback }: Field): readonly string[] {
  const told = toldDefault(member)
  if (told === undefined || fallback === undefined) return []
  const plain = told.replace(/[`',]/g, '')
  return plain === String(fallback) || plain.startsWith(`${fallback}:`) || plain.startsWith(`${fallback} `)
    ? []
    : [`the docstring says ${told}, the schema fills in ${fallback}`]
}

function sectionText(section: Section): string {
  const { title, from, intro, file, interfaceName, schema } = section
  const fields = new Map(fieldsOf(schema).map((field) => [field.name, field]))
  const rows = membersOf(file, interfaceName).map((member) => rowOf(member, fields.get(member.name)))
  return `## ${headline(title)}\n\nFrom \`${from}\`. ${intro}\n\n${table(['option', 'type', 'default', 'meaning'], rows)}`
}

function rowOf(member: Member, field: Field | undefined): readonly string[] {
  const bounds = field ? boundsOf(field.schema, member.type) : ''
  return [
    `\`${member.name}\``,
    cell(`\`${member.type}\`${bounds && `, ${bounds}`}`),
    defaultOf(member, field),
    cell(meaningOf(member)),
  ]
}

function defaultOf(member: Member, field: Field | undefined): string {
  const told = toldDefault(member)
  const fallback = field?.fallback
  const bare = told?.replace(/[`',]/g, '')
  if (fallback !== undefined && fallback !== '' && (bare === undefined || bare === String(fallback)))
    return cell(`\`${typeof fallback === 'string' ? `'${fallback}'` : numbered(fallback)}\``)
  if (told !== undefined) return cell(told)
  return member.isOptional ? '' : '*required*'
}

function numbered(value: unknown): string {
  return typeof value === 'number' ? value.toLocaleString('en') : String(value)
}

const aDefault = /(?:^|\s)Default:? ([\s\S]*?)\.(?=\s|$)/

function toldDefault({ meaning }: Member): string | undefined {
  return aDefault.exec(meaning)?.[1]?.replace(/\s+/g, ' ')
}

/** The docstring without its sentence about the default, which has a column of its own. */
function meaningOf({ meaning }: Member): string {
  return meaning.replace(aDefault, '').trim()
}

function headline(title: string): string {
  return title
    .split(', ')
    .map((name) => `${name}()`)
    .join(', ')
}

function anchor(title: string): string {
  return title
    .replace(/[^\w ]/g, '')
    .replace(/ /g, '-')
    .toLowerCase()
}
