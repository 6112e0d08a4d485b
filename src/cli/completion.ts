import { Argument, Command } from 'commander'

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
}

const scripts = { bash, zsh, fish }
type Shell = keyof typeof scripts

export function completionCommand(): Command {
  return new Command('completion')
    .description('Print a script that completes commands and options in a shell.')
    .addArgument(new Argument('<shell>', 'your shell').choices(Object.keys(scripts)))
    .addHelpText(
      'after',
      `
Examples:
  $ tidemark completion bash > ~/.local/share/bash-completion/completions/tidemark
  $ tidemark completion zsh > "\${fpath[1]}/_tidemark"
  $ tidemark completion fish > ~/.config/fish/completions/tidemark.fish`,
    )
    .action((shell: Shell, _options, command: Command) => {
      process.stdout.write(scripts[shell](wordsOf(command.parent!)))
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
  }))
}

function firstSentence(text: string): string {
  return text.split(/(?<=\.) /)[0]!.replace(/\.$/, '')
}

const shells = Object.keys(scripts).join(' ')

function bash(commands: readonly Words[]): string {
  const cases = commands.map(
    ({ name, options }) => `    ${name}) words='${[...options.map(({ long }) => long), '--help'].join(' ')}' ;;`,
  )
  return `# bash completion of tidemark
_tidemark() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} words
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${commands.map(({ name }) => name).join(' ')} --help --version' -- "$cur"))
    return
  fi
  case $prev in
    -c|--config) compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;
    -t|--to) COMPREPLY=($(compgen -W 'first last next' -- "$cur")); return ;;
    completion) COMPREPLY=($(compgen -W '${shells}' -- "$cur")); return ;;
  esac
  case \${COMP_WORDS[1]} in
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
    ({ '--config': ':file:_files', '--to': ':position:(first last next)' })[long] ?? ':value: '
  const cases = commands.map(({ name, options }) => {
    const specs = options.map(
      ({ long, description, takes }) => `'*${long}[${quoted(description)}]${takes ? argument(long) : ''}'`,
    )
    const shell = name === 'completion' ? [`'1:shell:(${shells})'`] : []
    return `    ${name}) _arguments ${[...specs, ...shell, "'--help[show help]'"].join(' ')} ;;`
  })
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
  const lines = commands.flatMap(({ name, description, options }) => [
    `complete -c tidemark -f -n __fish_use_subcommand -a ${name} -d ${quoted(description)}`,
    ...options.map(({ long, short, takes, description: what }) => {
      const values = long === '--config' ? '-rF' : long === '--to' ? "-x -a 'first last next'" : takes ? '-x' : '-f'
      const brief = short ? ` -s ${short.slice(1)}` : ''
      return `complete -c tidemark -n '__fish_seen_subcommand_from ${name}' -l ${long.slice(2)}${brief} ${values} -d ${quoted(what)}`
    }),
  ])
  const shell = `complete -c tidemark -f -n '__fish_seen_subcommand_from completion' -a '${shells}'`
  return `# fish completion of tidemark\n${[...lines, shell].join('\n')}\n`
}
