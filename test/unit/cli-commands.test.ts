import { execFileSync } from 'node:child_process'
import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { everyCommand, tidemarkProgram } from '../../src/cli/program.js'

const all = new Map<string, Command>()
everyCommand(tidemarkProgram(), (command, path) => all.set(path, command))
/** Those that do something themselves. */
const working = [...all].filter(([, command]) => Reflect.get(command, '_actionHandler') !== null)

/** All of the help, with what is printed behind it. */
function helpOf(command: Command): string {
  let text = ''
  command.configureOutput({ writeOut: (piece) => (text += piece) }).outputHelp()
  return text
}

describe('the command line', () => {
  it('has the commands below other commands, too', () => {
    expect([...all.keys()]).toEqual(
      expect.arrayContaining(['tidemark skip', 'tidemark groups delete', 'tidemark offsets import']),
    )
  })

  it.each(working)('%s speaks JSON', (_, command) => {
    expect(command.options.map(({ long }) => long)).toContain('--json')
  })

  it.each([...all])('%s has examples of itself, and exit codes, in its help', (path, command) => {
    const help = helpOf(command)
    expect(help).toMatch(new RegExp(`^Examples:\n(?:  \\$ .*\n)*  \\$ (?:\\w+=\\w+ )?${path}`, 'm'))
    expect(help).toContain('Exit codes: 0 done')
  })

  it.each(working)('%s has options that every name is used for once', (_, command) => {
    const names = command.options.flatMap(({ long, short }) => [long, short]).filter(Boolean)
    expect(new Set(names).size).toBe(names.length)
  })
})

describe('completion in bash', () => {
  const script = outputOf('completion', 'bash')
  /** What a shell offers at the end of a line. */
  const offered = (line: string) => {
    const words = line.split(' ')
    const ask = `${script}
      compopt() { :; }
      COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}
      _tidemark; printf '%s\\n' "\${COMPREPLY[@]}"`
    return execFileSync('bash', ['-c', ask], { encoding: 'utf8' }).split('\n').filter(Boolean)
  }

  it.each([
    ['tidemark sk', ['skip']],
    ['tidemark skip --off', ['--offset']],
    ['tidemark groups ', expect.arrayContaining(['members', 'delete', '--stream'])],
    ['tidemark groups del', ['delete']],
    ['tidemark groups delete --mir', ['--mirrored']],
    ['tidemark offsets import --fi', ['--file']],
    ['tidemark reset --to n', ['next']],
  ])('offers for %j', (line, words) => {
    expect(offered(line)).toEqual(words)
  })
})

/** What a command says on standard output. For commands that need nothing. */
function outputOf(...args: string[]): string {
  const { write } = process.stdout
  let text = ''
  process.stdout.write = (piece: string | Uint8Array) => {
    text += piece
    return true
  }
  try {
    tidemarkProgram().parse(args, { from: 'user' })
  } finally {
    process.stdout.write = write
  }
  return text
}
