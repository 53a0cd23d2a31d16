import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Places } from '../platform/places.js'

/** The folder of an agent's ledger, by its socket: no two agents share a socket, so no two share a ledger. */
export function ledgerFolder(places: Places, socket: string = places.agentSocket): string {
  if (socket === places.agentSocket) return join(places.state, 'ledger', 'agent')
  const name = createHash('sha256').update(socket).digest('hex').slice(0, 16)
  return join(places.state, 'ledger', `socket-${name}`)
}
