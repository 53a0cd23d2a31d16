import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Where tunnels that run can be asked: their folder on Unix, what their pipes' names begin with on Windows. */
export interface RunningPlaces {
  /** `Places.runtime`: each tunnel has a socket in its folder `tunnels`. */
  readonly runtime: string
  /** `Places.state`: why a tunnel stopped is kept in its folder `tunnels`. */
  readonly state: string
}

const PIPES = '\\\\.\\pipe\\'
const ENDING = '.sock'

/**
 * The name of a tunnel's place: short, since a socket's path has a hundred bytes, and the same for every start of the same
 * tunnel.
 * @param identity what makes it this tunnel and no other: its session's name, or where it goes and what it forwards
 */
export function keyOfTunnel(identity: string): string {
  return createHash('sha256').update(identity).digest('hex').slice(0, 16)
}

/** The socket, or the pipe's name. */
export function placeOfTunnel({ runtime }: RunningPlaces, key: string, system: string = process.platform): string {
  return system === 'win32' ? `${PIPES}${pipePrefix(runtime)}${key}` : join(runtime, 'tunnels', `${key}${ENDING}`)
}

/** Keys of all places that there are, whether somebody answers there or not. */
export async function listKeys({ runtime }: RunningPlaces, system: string = process.platform): Promise<string[]> {
  const isWindows = system === 'win32'
  const names = await readdir(isWindows ? PIPES : join(runtime, 'tunnels')).catch(() => [])
  const [prefix, ending] = isWindows ? [pipePrefix(runtime), ''] : ['', ENDING]
  return names
    .filter(name => name.startsWith(prefix) && name.endsWith(ending))
    .map(name => name.slice(prefix.length, name.length - ending.length))
    .filter(key => /^[0-9a-f]{16}$/.test(key))
    .sort()
}

/** Pipes have one folder for all users. */
function pipePrefix(runtime: string): string {
  return `keytool-tunnel-${keyOfTunnel(runtime)}-`
}
