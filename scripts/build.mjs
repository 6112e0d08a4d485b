/**
 * Builds what the package ships:
 *
 *   dist/{src,workflows,activities}   compiled by tsc, plus the files beside them that tsc does not carry over
 *   dist/workflow-bundle.js           the workflows, bundled once here instead of at every start of a worker
 *   dist/workflow-generation          the name of that workflow code
 *
 * `node scripts/build.mjs --prepare` is what npm runs after an install: the same, except that an install without
 * development dependencies builds nothing and says so. `--if-older` builds nothing where dist/ is younger than all that it is made of.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')
const memory = join(dist, '.tsbuildinfo')
const roots = ['src', 'workflows', 'activities']
const require = createRequire(import.meta.url)

const typescript = resolveOrNull('typescript/package.json')
if (typescript === null) {
  // npm packs whatever prepare leaves behind, so a package without dist must not come of it.
  const packing = ['pack', 'publish'].includes(process.env.npm_command ?? '')
  if (process.argv.includes('--prepare') && !packing) {
    say(`development dependencies are absent: nothing built${existsSync(dist) ? ', dist/ is left as it is' : ''}`)
    process.exit(0)
  }
  fail('building needs the development dependencies: run `npm ci` first')
}

if (process.argv.includes('--if-older') && (await isYoung())) process.exit(0)
const started = new Date()
compile()
if (!(await complete())) {
  // Somebody removed a part of dist/, which tsc's memory of the last build does not notice.
  await rm(memory)
  compile()
}
await sweep()
await copyOthers()
await bundleWorkflows()
await nameWorkflows()
// tsc leaves its memory alone where nothing has changed.
await utimes(memory, started, started)
say(`built dist/ in ${((Date.now() - started.getTime()) / 1000).toFixed(1)} s`)

/** Runs tsc, which compiles only what changed since the last build; its memory of that lives and dies with dist/. */
function compile() {
  const tsc = join(dirname(typescript), 'bin', 'tsc')
  const options = ['--incremental', '--tsBuildInfoFile', memory, '--noEmitOnError']
  const { status, error } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--pretty', ...options], {
    cwd: root,
    // Standard output belongs to npm, which puts it into the output of `npm pack --json`.
    stdio: ['ignore', 2, 2],
  })
  if (error) throw error
  if (status !== 0) fail('tsc found errors (above), dist/ was not changed')
}

/** Whether dist/ was built after everything that goes into it was written, or removed. */
async function isYoung() {
  if (!['workflow-bundle.js', 'workflow-generation'].every((name) => existsSync(join(dist, name)))) return false
  // A build is named by package.json, too.
  const inputs = [
    'package.json',
    'tsconfig.json',
    'tsconfig.build.json',
    'node_modules/.package-lock.json',
    relative(root, fileURLToPath(import.meta.url)),
  ]
  const below = await Promise.all(roots.map((folder) => readdir(join(root, folder), { recursive: true })))
  for (const [index, names] of below.entries())
    inputs.push(roots[index], ...names.map((name) => join(roots[index], name)))
  return (await newest([memory])) > (await newest(inputs.map((file) => join(root, file)))) && (await complete())
}

/** Whether each source has its output. */
async function complete() {
  const sources = (await filesBelow(root, roots)).filter(isSource)
  return sources.every((file) => existsSync(join(dist, file.replace(/\.ts$/, '.js'))))
}

/** Removes what earlier builds left of sources that are gone, so that a forgotten import fails here and not at a user's. */
async function sweep() {
  for (const file of await filesBelow(dist, roots)) {
    const source = file.replace(/(\.d\.ts|\.js\.map|\.js)$/, '.ts')
    if (!existsSync(join(root, source)) && !existsSync(join(root, file))) await rm(join(dist, file))
  }
}

/** Copies what tsc leaves behind: plain modules, SQL, pages. */
async function copyOthers() {
  for (const file of await filesBelow(root, roots)) {
    if (isSource(file) || file.endsWith('.md')) continue
    await mkdir(dirname(join(dist, file)), { recursive: true })
    await copyFile(join(root, file), join(dist, file))
  }
}

async function bundleWorkflows() {
  const workflowsPath = join(dist, 'workflows', 'index.js')
  const bundle = join(dist, 'workflow-bundle.js')
  const maker = join(dist, 'src', 'worker', 'make-bundle.js')
  if (!existsSync(workflowsPath)) {
    say('workflows/index.ts does not exist: no workflow bundle')
    return rm(bundle, { force: true })
  }
  // A newer install may have brought another SDK, whose workflow side is part of the bundle.
  const inputs = [join(root, 'node_modules', '.package-lock.json'), fileURLToPath(import.meta.url), maker]
  for (const file of await filesBelow(dist, ['workflows', join('src', 'model')])) inputs.push(join(dist, file))
  if ((await newest([bundle])) > (await newest(inputs))) return

  const { makeBundle } = await import(pathToFileURL(maker).href)
  const code = await makeBundle(workflowsPath)
  // Workers may start while this runs: they see the old bundle or the new one, never half of one.
  const draft = `${bundle}.${process.pid}`
  await writeFile(draft, code)
  await rename(draft, bundle)
}

async function nameWorkflows() {
  const { digestOf } = await import(pathToFileURL(join(dist, 'src', 'temporal', 'generation.js')).href)
  await writeFile(join(dist, 'workflow-generation'), await digestOf(root))
}

function isSource(file) {
  return /(?<!\.d)\.ts$/.test(file)
}

/** Every file in `folders` of `base`, relative to `base`. */
async function filesBelow(base, folders) {
  const found = []
  for (const folder of folders) {
    if (!existsSync(join(base, folder))) continue
    const entries = await readdir(join(base, folder), { recursive: true, withFileTypes: true })
    for (const entry of entries) if (entry.isFile()) found.push(relative(base, join(entry.parentPath, entry.name)))
  }
  return found
}

/** When the youngest of these files was written, ms since 1970; 0 when there is none. */
async function newest(files) {
  const times = await Promise.all(
    files.map((file) =>
      stat(file).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      ),
    ),
  )
  return Math.max(0, ...times)
}

function resolveOrNull(name) {
  try {
    return require.resolve(name)
  } catch {
    return null
  }
}

function say(text) {
  console.error(`build: ${text}`)
}

function fail(text) {
  say(text)
  process.exit(1)
}
