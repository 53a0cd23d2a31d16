import { createServer } from 'node:net'
import { join } from 'node:path'
import { type Agent, createLock, createRing, type Doorkeeper, type Limits, type Service, serve } from '../src/index.js'
import { later, listenAt, makeTemporary, RawClient } from './support.js'

/** An agent that is served at a socket of its own. */
export interface World {
  readonly path: string
  readonly service: Service
  readonly agent: Agent
  connect(): Promise<RawClient>
}

export async function makeWorld(
  limits: Partial<Limits> = {},
  agent: Agent = makeRing(),
  doorkeeper?: Doorkeeper,
): Promise<World> {
  const path = join(await makeTemporary(), 's')
  const server = createServer({ allowHalfOpen: true })
  const service = serve(agent, server, limits, doorkeeper)
  await listenAt(server, path)
  later(() => {
    service.close()
    return new Promise(resolve => server.close(resolve))
  })
  return { path, service, agent, connect: () => RawClient.connect(path) }
}

export function makeRing(): Agent {
  return createRing({ lock: createLock({ sleep: async () => undefined }) })
}

export { until } from './support.js'
