/** Writes the pages that are made from code: `npm run docs`. A unit test fails while they are not what it would write. */
import { writeFileSync } from 'node:fs'
import { cliPage } from './cli.js'
import { configurationPage } from './configuration.js'

writeFileSync('docs/configuration.md', configurationPage())
writeFileSync('docs/cli.md', cliPage())
