/**
 * Takes some services out of a compose file. It is Tidemark's own, so that its form is known: services and volumes begin with two spaces.
 *
 * @param text of the compose file
 */
export function composeOf(text: string, services: readonly string[]): string {
  const [, all = '', volumes = ''] = text.split(/^services:\n|^volumes:\n/m)
  const blocks = new Map(
    all
      .split(/^(?= {2}\w+:\n)/m)
      .filter((block) => block.trim() !== '')
      .map((block) => [/\w+/.exec(block)![0], block.trimEnd()]),
  )
  const chosen = services.map((service) => {
    const block = blocks.get(service)
    if (block === undefined) throw new Error(`no service '${service}' in the compose file`)
    return block
  })
  const kept = volumes.split('\n').filter((line) => services.includes(line.trim().replace(/:$/, '')))
  return [
    '# What this consumer needs, for development: docker compose up --wait. The Temporal UI is at http://127.0.0.1:8233.',
    'services:',
    chosen.join('\n\n'),
    '',
    'volumes:',
    ...kept,
    '',
  ].join('\n')
}
