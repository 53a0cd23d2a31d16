import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { networkInterfaces } from 'node:os'

/** How often is looked, in milliseconds. One look takes about a tenth of a millisecond: 0.003 % of one core. */
const INTERVAL = 3_000
/** What is read of the routing table, in bytes: the ways out stand at its top, and a router's may be endless. */
const MAX_ROUTES = 64 * 1024
const ROUTES = '/proc/net/route'

type Interfaces = ReturnType<typeof networkInterfaces>

export interface NetworkSources {
  readonly interfaces: () => Interfaces
  /** The kernel's table as Linux shows it; empty elsewhere. */
  readonly routes: () => string
}

const system: NetworkSources = {
  interfaces: networkInterfaces,
  routes: () => (process.platform === 'linux' ? readRoutes() : ''),
}

/**
 * Tells when this machine's addresses or its ways out (Linux) have changed: another network, a cable, a VPN.
 * @returns what ends it
 */
export function watchAddresses(
  onChange: () => void,
  sources: NetworkSources = system,
  interval: number = INTERVAL,
): () => void {
  let last = digestNetwork(sources)
  const timer = setInterval(() => {
    const now = digestNetwork(sources)
    if (now !== last) onChange()
    last = now
  }, interval).unref()
  return () => clearInterval(timer)
}

/** The same text as long as nothing has changed that matters for reaching others. */
export function digestNetwork({ interfaces, routes }: NetworkSources): string {
  const lines = [...addressLines(interfaces()), ...defaultRoutes(routes())].sort()
  return createHash('sha256').update(lines.join('\n')).digest('base64')
}

/** Addresses that lead further than the next cable: containers come and go with link-local ones. */
function addressLines(all: Interfaces): string[] {
  return Object.entries(all).flatMap(([name, addresses = []]) =>
    addresses
      .filter(({ internal, address }) => !internal && !/^(?:fe[89ab]|169\.254\.)/i.test(address))
      .map(({ address, netmask }) => `${name} ${address} ${netmask}`),
  )
}

/** Interface, gateway and metric of each route to everywhere: fields of proc_net_route, destination and mask 0. */
function defaultRoutes(text: string): string[] {
  return text.split('\n').flatMap(line => {
    const [name, destination, gateway, , , , metric, mask] = line.split('\t')
    return destination === '00000000' && mask === '00000000' ? [`${name} ${gateway} ${metric}`] : []
  })
}

function readRoutes(): string {
  try {
    const file = openSync(ROUTES, 'r')
    try {
      const buffer = Buffer.alloc(MAX_ROUTES)
      return buffer.toString('latin1', 0, readSync(file, buffer, 0, MAX_ROUTES, 0))
    } finally {
      closeSync(file)
    }
  } catch {
    // A system without it is watched by its addresses.
    return ''
  }
}
