import { once } from 'node:events'
import { createServer } from 'node:net'
import { addressToBind, type ForwardSpec } from '../forwards/spec.js'
import { findPortOwner, type PortOwner } from '../platform/port-owner.js'

/**
 * Whether the port that a forward listens on here is free: it is listened on for a moment.
 * @returns `free`, also for what listens elsewhere or at a path; else who holds it, as far as can be known
 */
export async function checkListen({ kind, listen }: ForwardSpec): Promise<'free' | 'barred' | { owner?: PortOwner }> {
  if (kind === 'remote' || 'path' in listen || listen.port === 0) return 'free'
  const address = addressToBind(listen)
  const server = createServer()
  try {
    server.listen({ port: listen.port, exclusive: true, ...(address !== undefined && { host: address }) })
    await once(server, 'listening')
    return 'free'
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return 'barred'
    const owner = await findPortOwner(listen.port, address)
    return owner ? { owner } : {}
  } finally {
    server.close()
  }
}
