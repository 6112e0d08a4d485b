#!/usr/bin/env node
import { existsSync } from 'node:fs'

// The published package always has dist/. A checkout has it after `npm ci`, unless that left development dependencies out.
const cli = new URL('../dist/src/cli/main.js', import.meta.url)
if (existsSync(cli)) {
  await import(cli.href)
} else {
  console.error('tidemark: this checkout is not built yet: run `npm run build` first')
  process.exitCode = 1
}
