import { KitDatabase, type WantedDatabase } from './kit-database.js'

/** How long databases that nobody uses wait for the next kit, ms. Their connections keep the process alive until then. */
const lingerMs = 500

/** Databases for the next kits, by what they were made for. At most one for each. */
const spares = new Map<string, Promise<KitDatabase>>()
/** Kits that are open and have a database. */
let users = 0
let lingering: NodeJS.Timeout | undefined

/**
 * A database for one kit: the one that was made ahead, or a new one where there is none. Call `returnDatabase` in the end.
 *
 * @throws TidemarkError UNREACHABLE; and what `setup` throws
 */
export async function takeDatabase(wanted: WantedDatabase): Promise<KitDatabase> {
  clearTimeout(lingering)
  users++
  let taken: KitDatabase | undefined
  try {
    const name = nameOf(wanted)
    const spare = spares.get(name)
    // Before anything is awaited: two kits may start at the same time.
    spares.delete(name)
    taken = await spare?.catch(() => undefined)
    if (taken && isPreparedEarly(wanted)) return taken
    taken ??= await KitDatabase.create(wanted)
    await taken.prepare(wanted.setup)
    return taken
  } catch (error) {
    await returnDatabase(taken)
    throw error
  }
}

/** Makes a database for the next kit. Making one takes longer than anything else in a kit's start, so a test runs meanwhile. */
export function makeSpare(wanted: WantedDatabase): void {
  const name = nameOf(wanted)
  if (users === 0 || spares.has(name)) return
  const spare = made(wanted)
  // Nobody may want it.
  spare.catch(() => {})
  spares.set(name, spare)
}

export async function returnDatabase(database: KitDatabase | undefined): Promise<void> {
  await database?.close()
  if (--users > 0) return
  lingering = setTimeout(() => {
    const left = [...spares.values()]
    spares.clear()
    for (const spare of left) void spare.then((one) => one.close()).catch(() => {})
  }, lingerMs)
}

async function made(wanted: WantedDatabase): Promise<KitDatabase> {
  const database = await KitDatabase.create(wanted)
  if (!isPreparedEarly(wanted)) return database
  try {
    await database.prepare(wanted.setup)
    return database
  } catch (error) {
    await database.close()
    throw error
  }
}

/** Text does the same ahead of the test. A function may do anything, so it runs when its test begins. */
function isPreparedEarly({ setup }: WantedDatabase): boolean {
  return typeof setup !== 'function'
}

function nameOf({ server, schema, setup }: WantedDatabase): string {
  return JSON.stringify([server, schema, typeof setup === 'function' ? 0 : setup])
}
