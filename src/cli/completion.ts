import { Argument, Command } from 'commander'
import { jsonOption } from './choose.js'

/** What a shell needs to know of a command. */
interface Words {
  readonly name: string
  readonly description: string
  readonly options: readonly {
    readonly long: string
    readonly short: string | null
    readonly description: string
    readonly takes: boolean
  }[]
  /** The commands below it: `delete` of `groups`. */
  readonly below: readonly Words[]
}

const scripts = { bash, zsh, fish }
type Shell = keyof typeof scripts

export function completionCommand(): Command {
  return new Command('completion')
    .description('Print a script that completes commands and options in a shell.')
    .addArgument(new Argument('<shell>', 'your shell').choices(Object.keys(scripts)))
    .addOption(jsonOption('the commands and their options as JSON'))
    .addHelpText(
      'after',
      `
Examples:
  $ tidemark completion bash > ~/.local/share/bash-completion/completions/tidemark
  $ tidemark completion zsh > "\${fpath[1]}/_tidemark"
  $ tidemark completion fish > ~/.config/fish/completions/tidemark.fish`,
    )
    .action((shell: Shell, { json }: { json?: boolean }, command: Command) => {
      const words = wordsOf(command.parent!)
      process.stdout.write(json ? `${JSON.stringify(words)}\n` : scripts[shell](words))
    })
}

function wordsOf(program: Command): Words[] {
  return program.commands.map((command) => ({
    name: command.name(),
    description: firstSentence(command.description()),
    options: command.options.map(({ long, short, description, required }) => ({
      long: long!,
      short: short ?? null,
      description: firstSentence(description),
      takes: required,
    })),
    below: wordsOf(command),
  }))
}

function firstSentence(text: string): string {
  return text.split(/(?<=\.) /)[0]!.replace(/\.$/, '')
}

const shells = Object.keys(scripts).join(' ')
/** Options whose values are files. Their short forms mean other things in other commands, except -c. */
const files = ['--config', '--file', '--from-file']

function namesOf(commands: readonly Words[], between: string): string {
  return commands.map(({ name }) => name).join(between)
}

function bash(commands: readonly Words[]): string {
  const parents = commands.filter(({ below }) => below.length > 0)
  const deeper = parents.map(
    ({ name, below }) => `    ${name}) case $below in ${namesOf(below, '|')}) command="${name} $below" ;; esac ;;`,
  )
  const all = commands.flatMap((one) => [
    one,
    ...one.below.map((below) => ({ ...below, name: `${one.name} ${below.name}` })),
  ])
  const cases = all.map(
    ({ name, options, below }) =>
      `    '${name}') words='${[...below.map((one) => one.name), ...options.map(({ long }) => long), '--help'].join(' ')}' ;;`,
  )
  return `# bash completion of tidemark
_tidemark() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[1]} below= words
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${namesOf(commands, ' ')} --help --version' -- "$cur"))
    return
  fi
  case $prev in
    -c|${files.join('|')}) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
    -t|--to) COMPREPLY=($(compgen -W 'first last next' -- "$cur")); return ;;
    completion) COMPREPLY=($(compgen -W '${shells}' -- "$cur")); return ;;
  esac
  [ "$COMP_CWORD" -gt 2 ] && below=\${COMP_WORDS[2]}
  case $command in
${deeper.join('\n')}
  esac
  case $command in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _tidemark tidemark
`
}

function zsh(commands: readonly Words[]): string {
  const quoted = (text: string) => text.replace(/'/g, "'\\''").replace(/[[\]:]/g, '\\$&')
  const argument = (long: string) =>
    files.includes(long) ? ':file:_files' : long === '--to' ? ':position:(first last next)' : ':value: '
  const specs = ({ name, options, below }: Words) => [
    ...options.map(
      ({ long, description, takes }) => `'*${long}[${quoted(description)}]${takes ? argument(long) : ''}'`,
    ),
    ...(name === 'completion' ? [`'1:shell:(${shells})'`] : []),
    ...(below.length > 0 ? [`'1:command:(${namesOf(below, ' ')})'`] : []),
    "'--help[show help]'",
  ]
  const deeper = (below: readonly Words[]) =>
    below.map(
      (one) =>
        `      if (( CURRENT > 2 )) && [ "$words[2]" = ${one.name} ]; then shift words; (( CURRENT-- )); _arguments ${specs(one).join(' ')}; return; fi\n`,
    )
  const cases = commands.map((one) =>
    one.below.length === 0
      ? `    ${one.name}) _arguments ${specs(one).join(' ')} ;;`
      : `    ${one.name})\n${deeper(one.below).join('')}      _arguments ${specs(one).join(' ')} ;;`,
  )
  return `#compdef tidemark
_tidemark() {
  local -a commands
  commands=(
${commands.map(({ name, description }) => `    '${name}:${quoted(description)}'`).join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join('\n')}
  esac
}
if [ "$funcstack[1]" = _tidemark ]; then _tidemark "$@"; else compdef _tidemark tidemark; fi
`
}

function fish(commands: readonly Words[]): string {
  const quoted = (text: string) => `'${text.replace(/[\\']/g, '\\$&')}'`
  const seen = (names: string) => `__fish_seen_subcommand_from ${names}`
  const offer = ({ name, description }: Words, where: string) =>
    `complete -c tidemark -f -n ${where} -a ${name} -d ${quoted(description)}`
  const optionsOf = ({ options }: Words, where: string) =>
    options.map(({ long, short, takes, description }) => {
      const values = files.includes(long) ? '-rF' : long === '--to' ? "-x -a 'first last next'" : takes ? '-x' : '-f'
      const brief = short ? ` -s ${short.slice(1)}` : ''
      return `complete -c tidemark -n ${where} -l ${long.slice(2)}${brief} ${values} -d ${quoted(description)}`
    })
  const lines = commands.flatMap((command) => {
    const { name, below } = command
    const itself = below.length === 0 ? `'${seen(name)}'` : `'${seen(name)}; and not ${seen(namesOf(below, ' '))}'`
    return [
      offer(command, '__fish_use_subcommand'),
      ...optionsOf(command, itself),
      ...below.flatMap((one) => [offer(one, itself), ...optionsOf(one, `'${seen(name)}; and ${seen(one.name)}'`)]),
    ]
  })
  const shell = `complete -c tidemark -f -n '${seen('completion')}' -a '${shells}'`
  return `# fish completion of tidemark\n${[...lines, shell].join('\n')}\n`
}
