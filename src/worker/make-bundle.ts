import { bundleWorkflowCode } from '@temporalio/worker'

const silent = () => {}
// Standard output carries a command's JSON, or what npm prints for `npm pack --json`.
const quiet = { log: silent, trace: silent, debug: silent, info: silent, warn: console.error, error: console.error }

/**
 * Bundles workflows for the workflow sandbox.
 *
 * @param workflowsPath the module that exports them
 */
export async function makeBundle(workflowsPath: string): Promise<string> {
  const { code } = await bundleWorkflowCode({
    workflowsPath,
    // Loaded once, and not again for each workflow: none of our modules keeps anything that belongs to one.
    preloadModules: [workflowsPath],
    // The SDK looks every promise of a workflow up in the source map, for stack traces in the Temporal UI. Lines are enough for that, and
    // reading a map with columns and texts takes longer than a group's first workflow task.
    webpackConfigHook: (config) => ({ ...config, devtool: 'inline-nosources-cheap-module-source-map' }),
    logger: quiet,
  })
  return code
}
