/*
 * Which folder may import which. The arrows point one way:
 *
 *   model <- workflows
 *   model <- ports <- { reading, storing, handlers } <- { kafka, rabbitmq, postgres, memory } <- entry
 *   model <- ports <- handlers <- config <- { activities <- monitoring, temporal <- client } <- worker <- { cli, testing }
 *
 * A log's folder knows the ground floors (model, ports, options, reading, storing) and its driver, and no other log.
 * Each rule has a violating file in test/unit/arrows.test.ts that proves it fires. Type-only imports count like any other:
 * a type from the wrong place ties two folders together just as well.
 */

const npm = (...names) => names.map((name) => `^node_modules/(@types/)?${name}/`)
/** The driver of each log that has one. */
const drivers = { kafka: 'kafkajs', rabbitmq: 'rabbitmq-stream-js-client', postgres: 'pg' }
const logs = 'kafka|rabbitmq|postgres|memory'

/** Files at `from` may import `allowed` and nothing else. */
function only(name, comment, from, allowed) {
  return { name, comment, severity: 'error', from: { path: from }, to: { pathNot: allowed } }
}

/** The same, with Node's own modules allowed besides. */
function onlyAndNode(name, comment, from, allowed) {
  const rule = only(name, comment, from, allowed)
  return { ...rule, to: { ...rule.to, dependencyTypesNot: ['core'] } }
}

/** Files at `from` may import anything but `forbidden`. */
function never(name, comment, from, forbidden, pathNot = undefined) {
  return {
    name,
    comment,
    severity: 'error',
    from: pathNot ? { path: from, pathNot } : { path: from },
    to: { path: forbidden },
  }
}

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Two files that need each other are one idea or hide a third: split off what both need.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'nothing-unresolved',
      comment: 'The import leads nowhere.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'shipped-code-needs-no-dev-dependency',
      comment:
        'Users do not get devDependencies. src/local starts real parts for the tests and the demo, so it may. Drivers are optional peers, too.',
      severity: 'error',
      from: { path: '^(src|workflows|activities)/', pathNot: '^src/(local|testing)/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], pathNot: npm(...Object.values(drivers)) },
    },
    {
      name: 'testing-has-optional-peers',
      comment:
        'The testing kit may load @temporalio/testing, which its users install. It is a devDependency of this repository, too.',
      severity: 'error',
      from: { path: '^src/testing/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], pathNot: npm('@temporalio/testing') },
    },
    never(
      'testing-knows-no-log',
      'The testing kit stands beside the command line: it runs workers, and puts memory in the place of every log.',
      '^src/testing/',
      '^(workflows|activities)/|^src/(kafka|rabbitmq|cli|entry|storing)/',
    ),
    never(
      'shipped-code-stands-alone',
      'Tests, benches and examples use the product, never the other way round.',
      '^(src|workflows|activities)/',
      '^(test|bench|examples|scripts)/',
    ),
    only('model-is-pure', 'The model imports nothing but itself: it runs in the workflow sandbox too.', '^src/model/', [
      '^src/model/',
    ]),
    only('ports-know-the-model', 'The ports are only words: they import the model.', '^src/ports/', [
      '^src/ports/',
      '^src/model/',
    ]),
    only(
      'options-know-the-model',
      'How options are checked is the same everywhere: schemas, and the model.',
      '^src/options/',
      ['^src/(options|model)/', ...npm('zod')],
    ),
    only('workflows-are-deterministic', 'Workflows see the model and the SDK, nothing that does I/O.', '^workflows/', [
      '^workflows/',
      '^src/model/',
      ...npm('@temporalio/workflow', '@temporalio/common'),
    ]),
    onlyAndNode(
      'activities-do-not-know-drivers',
      'Activities work through the ports, so that every source and store behaves the same under them.',
      '^activities/',
      ['^activities/', '^src/(model|ports|handlers|config)/', ...npm('@temporalio/activity', '@temporalio/common')],
    ),
    onlyAndNode(
      'handling-knows-no-batch',
      'How a chunk is handled, and how its progress is committed, do not depend on how batches are run.',
      '^activities/(handling|committing)/',
      ['^activities/(handling/|committing/|runtime\\.ts$)', '^src/(model|ports|handlers|config)/'],
    ),
    onlyAndNode(
      'ground-floors-know-the-model',
      'What several logs share knows the ports and the model, and no log.',
      '^src/(reading|storing)/',
      ['^src/($1|model|ports)/', '^node_modules/'],
    ),
    onlyAndNode(
      'a-log-knows-the-ground-floors',
      "A log's folder knows what logs share and its own driver. No log knows another, and none knows what is above it.",
      `^src/(${logs})/`,
      ['^src/$1/', '^src/(model|ports|options|reading|storing)/', '^node_modules/'],
    ),
    onlyAndNode(
      'clients-stand-below',
      "How a log is reached knows nothing of what is read from it or kept in it. Postgres' tables stand on the client.",
      `^src/(${logs})/(client|tables)/`,
      ['^src/$1/(client|tables)/', '^src/(model|ports|options|reading|storing)/', '^node_modules/'],
    ),
    {
      name: 'one-driver-a-folder',
      comment: 'A driver is used where its name is on the door, so that it loads only with its subpath.',
      severity: 'error',
      from: { path: '^(src|workflows|activities)/', pathNot: [`^src/(${logs})/`, '^src/local/'] },
      to: { path: npm(...Object.values(drivers)) },
    },
    ...Object.entries(drivers).map(([log, driver]) =>
      never(
        `${log}-uses-only-its-driver`,
        `The ${log} folder reaches no other log's driver.`,
        `^src/${log}/`,
        npm(...Object.values(drivers).filter((other) => other !== driver)),
      ),
    ),
    onlyAndNode('handlers-know-ports', 'Handlers are what users write against: ports and model.', '^src/handlers/', [
      '^src/handlers/',
      '^src/model/',
      '^src/ports/',
    ]),
    onlyAndNode('config-knows-ports', 'Config describes consumers; it starts and connects nothing.', '^src/config/', [
      '^src/(config|handlers|model|options)/',
      '^src/ports/',
      ...npm('zod'),
      // Types of what users give for Temporal. Their names are on no other door.
      ...npm('@temporalio/client', '@temporalio/common', '@temporalio/worker'),
    ]),
    {
      name: 'config-only-names-temporal',
      comment: "Types of the SDK describe what users give for Temporal; the config runs none of the SDK's code.",
      severity: 'error',
      from: { path: '^src/config/' },
      to: {
        path: npm('@temporalio/client', '@temporalio/common', '@temporalio/worker'),
        dependencyTypesNot: ['type-only'],
      },
    },
    onlyAndNode(
      'client-talks-to-temporal',
      'The client starts and commands groups from outside: it runs no handler and reads no log.',
      '^src/client/',
      [
        '^src/(client|temporal|config|handlers|model|options|ports)/',
        ...npm('@temporalio/client', '@temporalio/common'),
      ],
    ),
    onlyAndNode(
      'temporal-knows-the-model',
      'How Temporal is reached and asked: needed by the client and by the worker, so it knows neither.',
      '^src/temporal/',
      [
        '^src/(temporal|config|model|ports)/',
        '^activities/index\\.ts$',
        ...npm('@temporalio/client', '@temporalio/common'),
      ],
    ),
    onlyAndNode(
      'monitoring-listens',
      'What is counted and served of a worker is heard through its seams: it reaches no log, no store and no Temporal.',
      '^src/monitoring/',
      ['^src/(monitoring|model|ports)/', '^activities/index\\.ts$', ...npm('prom-client')],
    ),
    never(
      'one-home-for-prom-client',
      'Everything else hears of work without knowing who counts it.',
      '^(src|workflows|activities)/',
      npm('prom-client'),
      '^src/monitoring/',
    ),
    never(
      'worker-gets-its-parts-from-config',
      'The worker runs whatever sources and stores the config brings, and workflows by their path or bundle. It logs outages as they do.',
      '^src/worker/',
      ['^workflows/', '^src/reading/(?!outage\\.)', `^src/(${logs}|storing|cli|console|local|testing|entry)/`],
    ),
    onlyAndNode('local-knows-the-model', 'Starting local parts has nothing to do with consuming.', '^src/local/', [
      '^src/(local|model)/',
      '^node_modules/',
    ]),
    never(
      'cli-is-the-top',
      'Only the package binary reaches the command line; only users reach the testing helpers.',
      '^(src|activities|workflows)/',
      '^src/(cli|console|testing|entry)/',
      '^src/(cli|console|testing|entry)/',
    ),
    {
      name: 'index-reaches-no-driver',
      comment: "`import 'tidemark'` loads no driver; `tidemark/kafka`, `tidemark/postgres` and `tidemark/rabbitmq` do.",
      severity: 'error',
      from: { path: '^src/entry/index\\.ts$' },
      to: { path: npm(...Object.values(drivers)), reachable: true },
    },
  ],
  options: {
    doNotFollow: { path: '^node_modules/' },
    // Counts type-only imports, which no compiled file shows any more.
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      // Sources first: `./guard.js` means guard.ts, also where a guard.mjs lies beside it.
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json'],
      conditionNames: ['import', 'require', 'node', 'types', 'default'],
    },
  },
}
