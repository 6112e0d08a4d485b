import type { Argument, Command, Option } from 'commander'
import { everyCommand, tidemarkProgram } from '../../src/cli/program.js'
import { cell, generated, table } from './text.js'

const intro = `# Command line

\`npx tidemark <command>\`, or \`node node_modules/tidemark/bin/tidemark.js <command>\` where a signal has to reach it ([running a worker](deploy.md)).
\`--help\` behind a command shows what this page says of it. Commands look for \`tidemark.config.ts\` in the current folder.

| exit code | |
|---|---|
| 0 | done |
| 1 | failed: something could not be reached, was refused, or was not confirmed. \`status\` also where a group that should run does not |
| 2 | wrong use, or a wrong config: trying again is no use |

| environment variable | |
|---|---|
| \`TEMPORAL_ADDRESS\`, \`TEMPORAL_NAMESPACE\`, \`TEMPORAL_API_KEY\` | where Temporal is, if the config does not say |
| \`LOG_LEVEL\` | \`trace\`, \`debug\`, \`info\` (default), \`warn\`, \`error\`, \`fatal\`, \`silent\` |
| \`NO_COLOR\` | set: no colors |
| \`TIDEMARK_DEBUG\` | set: the stack of an error that Tidemark did not expect |
`

/** The text of docs/cli.md. */
export function cliPage(): string {
  const list: string[] = []
  const parts: string[] = []
  everyCommand(tidemarkProgram(), (command, path) => {
    if (command.parent === null) return
    list.push(`| [\`${path}\`](#${path.replace(/ /g, '-')}) | ${cell(command.description())} |`)
    parts.push(commandText(command, path))
  })
  const index = ['| command | |', '|---|---|', ...list].join('\n')
  return `${generated('the commands themselves')}\n${intro}\n${index}\n\n${parts.join('\n')}`
}

function commandText(command: Command, path: string): string {
  const { notes, examples } = afterText(command)
  return [
    `## ${path}\n`,
    `${command.description()}\n`,
    `\`\`\`\n${path} ${command.usage()}\n\`\`\`\n`,
    ...argumentsText(command.registeredArguments),
    ...optionsText(command.options),
    ...(notes ? [`${notes}\n`] : []),
    ...(examples ? [`\`\`\`sh\n${examples}\n\`\`\`\n`] : []),
  ].join('\n')
}

function argumentsText(list: readonly Argument[]): readonly string[] {
  const rows = list.map((one) => [
    `\`${one.name()}\``,
    cell(withChoices(one.description, one.argChoices)),
    fallbackOf(one),
  ])
  return rows.length > 0 ? [table(['argument', '', 'default'], rows)] : []
}

function optionsText(list: readonly Option[]): readonly string[] {
  const rows = list
    .filter(({ hidden }) => !hidden)
    .map((one) => [
      `\`${one.flags}\``,
      cell(withChoices(one.description, one.argChoices)),
      one.mandatory ? '*required*' : fallbackOf(one),
    ])
  return rows.length > 0 ? [table(['option', '', 'default'], rows)] : []
}

function withChoices(description: string, choices: readonly string[] | undefined): string {
  return choices ? `${description}: ${choices.map((one) => `\`${one}\``).join(', ')}` : description
}

function fallbackOf({ defaultValue }: Option | Argument): string {
  return defaultValue === undefined ? '' : `\`${defaultValue}\``
}

/** What a command's help says behind its options. Exit codes are the same for all. */
function afterText(command: Command): { readonly notes: string; readonly examples: string } {
  let whole = ''
  command.configureOutput({ writeOut: (text) => (whole += text) }).outputHelp()
  const after = whole.slice(command.helpInformation().length).split(/\nExit codes:/)[0]!
  const [notes = '', examples = ''] = after.split(/^Examples:$/m)
  return { notes: markdown(notes.trim()), examples: script(examples) }
}

/** Examples as a shell takes them: what stands beside a command is a comment. */
function script(examples: string): string {
  return examples
    .replace(/^ {2}(\$ )?/gm, '')
    .replace(/^(\S.*?\S)( {3,})(?=\S)/gm, '$1$2# ')
    .trim()
}

/** Help is plain text: what looks like markup in it is none. */
function markdown(text: string): string {
  return text.replace(/[<*_|]/g, '\\$&')
}
