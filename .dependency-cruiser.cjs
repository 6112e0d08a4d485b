/*
 * Which folder may import which. The arrows point one way:
 *
 *   model <- workflows
 *   model <- ports <- { sources, stores, postgres, handlers } <- config <- { activities, client } <- worker <- cli
 *
 * Each rule has a violating file in test/unit/arrows.test.ts that proves it fires. Type-only imports count like any other:
 * a type from the wrong place ties two folders together just as well.
 */

const npm = (...names) => names.map((name) => `^node_modules/(@types/)?${name}/`)
const drivers = ['pg', 'kafkajs', 'rabbitmq-stream-js-client']
const withDriver = npm(...drivers)

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
      comment: 'Users do not get devDependencies. src/local starts real parts for the tests and the demo, so it may.',
      severity: 'error',
      from: { path: '^(src|workflows|activities)/', pathNot: '^src/local/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
    never(
      'shipped-code-stands-alone',
      'Tests, benches and examples use the product, never the other way round.',
      '^(src|workflows|activities)/',
      '^(test|bench|examples|scripts)/',
    ),
    only('model-is-pure', 'The model imports nothing but itself: it runs in the workflow sandbox too.', '^src/model/', [
      '^src/model/',
    ]),
    only('ports-know-the-model', 'The ports are only words: they import the model.', '^src/ports(\\.ts|/)', [
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
      [
        '^activities/',
        '^src/(model|handlers|config)/',
        '^src/ports(\\.ts|/)',
        ...npm('@temporalio/activity', '@temporalio/common'),
      ],
    ),
    onlyAndNode(
      'sources-know-ports-and-their-driver',
      'A source knows the ports, its own kind and its driver; no other source, no store, nothing above it.',
      '^src/sources/([^/]+)/',
      [
        '^src/sources/$1/',
        '^src/sources/[^/]+\\.ts$',
        '^src/(model|options|postgres)/',
        '^src/ports(\\.ts|/)',
        '^node_modules/',
      ],
    ),
    onlyAndNode(
      'stores-know-ports-and-their-driver',
      'A store knows the ports, its own kind and its driver; no other store, no source, nothing above it.',
      '^src/stores/(?!(?:kafka|rabbitmq)/)([^/]+)/',
      [
        '^src/stores/$1/',
        '^src/stores/[^/]+\\.ts$',
        '^src/(model|options|postgres)/',
        '^src/ports(\\.ts|/)',
        '^node_modules/',
      ],
    ),
    onlyAndNode(
      'brokers-stores-know-their-source',
      'A broker has one way to be connected to and to keep offsets, which the source has for its mirror, too.',
      '^src/stores/(kafka|rabbitmq)/',
      ['^src/(stores|sources)/($1/|[^/]+\\.ts$)', '^src/(model|options)/', '^src/ports(\\.ts|/)', '^node_modules/'],
    ),
    onlyAndNode(
      'outputs-know-ports-and-their-driver',
      'An output knows the ports, its own kind, and how the source of that kind reaches the driver; nothing above it.',
      '^src/outputs/([^/]+)/',
      [
        '^src/outputs/$1/',
        '^src/sources/($1/|[^/]+\\.ts$)',
        '^src/(model|options)/',
        '^src/ports(\\.ts|/)',
        '^node_modules/',
      ],
    ),
    onlyAndNode(
      'sources-and-stores-share-only-ports',
      'What several sources or several stores share knows the ports and the model.',
      '^src/(sources|stores)/[^/]+\\.ts$',
      ['^src/$1/[^/]+\\.ts$', '^src/model/', '^src/ports(\\.ts|/)', '^node_modules/'],
    ),
    onlyAndNode(
      'postgres-knows-ports',
      'What Postgres sources and stores share knows the ports and the model.',
      '^src/postgres/',
      ['^src/postgres/', '^src/(model|options)/', '^src/ports(\\.ts|/)', '^node_modules/'],
    ),
    {
      name: 'one-driver-a-folder',
      comment: 'A driver is used where its name is on the door, so that it loads only with its subpath.',
      severity: 'error',
      from: {
        path: '^(src|workflows|activities)/',
        pathNot: ['^src/(sources|stores|outputs)/(kafka|postgres|rabbitmq)/', '^src/postgres/', '^src/local/'],
      },
      to: { path: withDriver },
    },
    never('kafka-does-not-use-pg', 'Kafka parts reach no Postgres.', '^src/(sources|stores|outputs)/kafka/', [
      ...npm('pg'),
      '^src/postgres/',
    ]),
    never(
      'rabbitmq-uses-its-own-client',
      'RabbitMQ parts reach no Kafka and no Postgres.',
      '^src/(sources|stores)/rabbitmq/',
      [...npm('pg', 'kafkajs'), '^src/postgres/'],
    ),
    never(
      'postgres-does-not-use-kafkajs',
      'Postgres parts reach no Kafka.',
      '^src/((sources|stores)/)?postgres/',
      npm('kafkajs'),
    ),
    onlyAndNode('handlers-know-ports', 'Handlers are what users write against: ports and model.', '^src/handlers/', [
      '^src/handlers/',
      '^src/model/',
      '^src/ports(\\.ts|/)',
    ]),
    onlyAndNode('config-knows-ports', 'Config describes consumers; it starts and connects nothing.', '^src/config/', [
      '^src/(config|handlers|model)/',
      '^src/ports(\\.ts|/)',
      ...npm('zod'),
    ]),
    onlyAndNode(
      'client-talks-to-temporal',
      'The client starts and commands groups from outside: it runs no handler and reads no log.',
      '^src/client/',
      [
        '^src/(client|config|handlers|model)/',
        '^src/ports(\\.ts|/)',
        ...npm('@temporalio/client', '@temporalio/common'),
      ],
    ),
    never(
      'worker-gets-its-parts-from-config',
      'The worker runs whatever sources and stores the config brings, and workflows by their path or bundle.',
      '^src/worker/',
      [
        '^workflows/',
        '^src/(sources|stores|outputs|postgres|cli|console|local|testing)/',
        '^src/(index|kafka|postgres|rabbitmq)\\.ts$',
      ],
    ),
    onlyAndNode('local-knows-the-model', 'Starting local parts has nothing to do with consuming.', '^src/local/', [
      '^src/(local|model)/',
      '^node_modules/',
    ]),
    never(
      'cli-is-the-top',
      'Only the package binary reaches the command line; only users reach the testing helpers.',
      '^(src|activities|workflows)/',
      '^src/(cli|console|testing)/',
      '^src/(cli|console|testing)/',
    ),
    {
      name: 'index-reaches-no-driver',
      comment: "`import 'tidemark'` loads no driver; `tidemark/kafka`, `tidemark/postgres` and `tidemark/rabbitmq` do.",
      severity: 'error',
      from: { path: '^src/index\\.ts$' },
      to: { path: withDriver, reachable: true },
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
