/* Configs of one consumer that says what it handled, as projects of several kinds write them. Addresses come from the environment. */

const body = `{
  store: postgresStore({ connectionString: process.env.DATABASE_URL }),
  consumers: [
    consumer({
      group: 'billing',
      source: postgresStream({ connectionString: process.env.DATABASE_URL, stream: process.env.STREAM, partitions: 1 }),
      handler: transactional(async (messages) => said(messages.length)),
    }),
  ],
}`
const said = "export const said = (count) => console.log('handled ' + count)\n"
const typedSaid = said.replace('(count)', '(count: number): void')
const imports = `import { consumer, defineConfig, transactional } from 'tidemark'
import { postgresStore, postgresStream } from 'tidemark/postgres'
`
const requires = `const { consumer, defineConfig, transactional } = require('tidemark')
const { postgresStore, postgresStream } = require('tidemark/postgres')
`
const typed = `${imports}import { said } from './said'\nexport default defineConfig(${body.replace('env.STREAM', 'env.STREAM!')})\n`

/** The files of a project, by name. `args` name the config where it is not in the folder. */
export interface LittleProject {
  readonly files: Readonly<Record<string, string>>
  readonly args?: readonly string[]
}

export const littleProjects: Readonly<Record<string, LittleProject>> = {
  'made by npm init, with a TypeScript config': {
    files: { 'package.json': '{"type": "commonjs"}', 'tidemark.config.ts': typed, 'said.ts': typedSaid },
  },
  'made by npm init, with a config that requires': {
    files: {
      'package.json': '{"type": "commonjs"}',
      'tidemark.config.js': `${requires}const { said } = require('./said.cjs')\nmodule.exports = defineConfig(${body})\n`,
      'said.cjs': said.replace('export const said', 'exports.said'),
    },
  },
  'of ES modules, with a TypeScript config': {
    files: { 'package.json': '{"type": "module"}', 'tidemark.config.ts': typed, 'said.ts': typedSaid },
  },
  'of ES modules, with a config in JavaScript': {
    files: {
      'package.json': '{"type": "module"}',
      'tidemark.config.js': `${imports}import { said } from './said.js'\nexport default defineConfig(${body})\n`,
      'said.js': said,
    },
  },
  'without a type, with import-require': {
    files: {
      'package.json': '{}',
      'said.ts': typedSaid,
      'tidemark.config.cts': `import tidemark = require('tidemark')
import postgres = require('tidemark/postgres')
import { said } from './said'
const { consumer, transactional } = tidemark
const { postgresStore, postgresStream } = postgres
export = tidemark.defineConfig(${body.replace('env.STREAM', 'env.STREAM!')})
`,
    },
  },
  'of several packages, from its root': {
    files: {
      'package.json': '{"private": true}',
      'apps/billing/package.json': '{"type": "module"}',
      'apps/billing/tsconfig.json': '{"compilerOptions": {"paths": {"@billing/*": ["./src/*"]}}}',
      'apps/billing/src/said.ts': typedSaid,
      'apps/billing/tidemark.config.ts': typed.replace('./said', '@billing/said'),
    },
    args: ['--config', 'apps/billing/tidemark.config.ts'],
  },
}

/** What tsc makes of this project is CommonJS. */
export const compiledProject: LittleProject = {
  files: { 'package.json': '{"type": "commonjs"}', 'src/tidemark.config.ts': typed, 'src/said.ts': typedSaid },
  args: ['--config', 'built/tidemark.config.js'],
}
