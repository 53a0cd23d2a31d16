import { KeytoolError } from '@keytool/keygen'
import { type ForwardSpec, formatForward, formatListen, formatTarget } from '@keytool/tunnel'

/** Forwards of a command line, as they were written: `-L`, `-R`, `-D`. */
export interface ForwardFlags {
  readonly local?: readonly string[]
  readonly remote?: readonly string[]
  readonly dynamic?: readonly string[]
}

/** Two forwards can't listen at one place. Throws `usage`. */
export function checkDistinct(forwards: readonly ForwardSpec[]): void {
  const taken = new Set<string>()
  for (const spec of forwards) {
    if ('port' in spec.listen && spec.listen.port === 0) continue
    const where = spec.kind === 'remote' ? ' on the server' : ''
    const place = `${formatListen(spec)}${where}`
    if (taken.has(place)) throw new KeytoolError('usage', `two forwards are to listen at ${place}`)
    taken.add(place)
  }
}

/**
 * One line for one forward: `127.0.0.1:1110 -> mail.example:110`, `127.0.0.1:1080 -> SOCKS`, and for one of the server's
 * `server localhost:8080 -> localhost:80 here`.
 * @param place where it listens once that is known: a port may have been chosen
 */
export function describeForward(spec: ForwardSpec, place: string = formatListen(spec)): string {
  if (spec.kind !== 'remote') return `${place} -> ${formatTarget(spec)}`
  return `server ${place} -> ${formatTarget(spec)} here`
}

/** The same for one that is not open, as short as it was written: an address that was written decides who can get in. */
export function describeSaved(spec: ForwardSpec): string {
  return describeForward(spec, formatForward({ kind: 'dynamic', listen: spec.listen }))
}

/** The warning that a forward lets other machines in, as it was written. */
export function describeOpening(spec: ForwardSpec): string {
  const port = 'port' in spec.listen ? spec.listen.port : 0
  if (spec.kind !== 'remote') return `port ${port} is open to other machines, as you wrote it`
  return `port ${port} of the server is asked to be open to other machines, as you wrote it; its GatewayPorts decides`
}
