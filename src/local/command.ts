import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

export interface CommandOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly uid?: number
  readonly gid?: number
  /** Ends the command, which then fails with the signal's reason. */
  readonly signal?: AbortSignal
}

/** Runs a program to its end and returns its output. Throws with the last lines of it when it fails. */
export function run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += String(data)))
    child.on('error', (error) => reject(options.signal?.aborted ? options.signal.reason : error))
    child.on('close', (code, signal) => {
      if (code === 0) resolve(output)
      else
        reject(
          new Error(`${command} ${args[0] ?? ''} failed (${signal ?? `exit code ${code}`}): ${lastLines(output, 8)}`),
        )
    })
  })
}

/** The last `count` lines of a text that say something. */
export function lastLines(text: string, count: number): string {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-count)
    .join('\n')
}

/** Full path of a program on PATH, or undefined. */
export async function onPath(program: string, path = process.env.PATH ?? ''): Promise<string | undefined> {
  for (const folder of path.split(delimiter).filter((part) => part !== '')) {
    const file = join(folder, program)
    if (await isExecutable(file)) return file
  }
  return undefined
}

/** True when this process may run the file. */
export async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  )
}
