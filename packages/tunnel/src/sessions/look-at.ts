import { showForeign } from '@keytool/keygen'
import type { Session } from './schema.js'

/** As long as a command may be in a session: none of it stays unseen. */
const MAX_COMMAND = 4096

/**
 * What of a foreign session whoever takes it over should have seen, because it starts a program here, lends the agent, or
 * changes which keys the host is known by: one line each, safe to show.
 */
export function findToLookAt({ proxyCommand, forwardAgent, hostKeyAlias }: Session): string[] {
  return [
    ...(proxyCommand === undefined
      ? []
      : [`a command is run to reach the host: ${showForeign(proxyCommand, MAX_COMMAND)}`]),
    ...(forwardAgent ? ['the agent is forwarded: the server may use it'] : []),
    ...(hostKeyAlias === undefined ? [] : [`its host key is looked up as that of ${showForeign(hostKeyAlias)}`]),
  ]
}
