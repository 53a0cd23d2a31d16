import { isKeytoolError, matchesHost, nameOfHost, PublicKey } from '@keytool/keygen'
import { type Entry, matching } from './entries.js'

/** What a server's list of its keys means for what is known of it. */
export interface Rotation {
  /** To be noted, once the server has proved that they are its own. */
  readonly fresh: readonly PublicKey[]
  /** On lines of the user's own, and not the server's any more. */
  readonly obsolete: readonly PublicKey[]
}

/** Far above any server; OpenSSH's has four. */
const MAX_KEYS = 64
/** Of one key, in bytes: above RSA with 16384 bits. */
const MAX_KEY = 8 * 1024
/** Of RSA, in bits: what is shorter is not noted. */
const MIN_RSA = 2048

/** Keys that servers are asked for. A key of another type is not noted, but stays where it was noted by others. */
const usable: ReadonlySet<string> = new Set([
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
])

/**
 * Follows the conditions of OpenSSH's client (client_input_hostkeys in clientloop.c): all is left alone where the host or one of
 * its keys stands in the files in a way that ssh would not have written itself.
 * @param entries of the user's own files
 * @param current the key the server has shown, and signed with
 * @param offered all of its keys, as it lists them (hostkeys-00@openssh.com, PROTOCOL section 2.5)
 * @returns the changes, or why there are none
 */
export function planRotation(
  entries: readonly Entry[],
  host: string,
  port: number,
  current: Buffer,
  offered: readonly Buffer[],
): Rotation | string {
  if (offered.length > MAX_KEYS || offered.some(({ length }) => length > MAX_KEY)) return 'it lists too much'
  const listed = new Set(offered.map(nameOfBlob))
  if (listed.size < offered.length) return 'it lists a key twice'
  if (!listed.has(nameOfBlob(current))) return 'it does not list the key that it shows'

  const name = nameOfHost(host, port)
  const about = matching(entries, name)
  const others = entries.filter(({ hosts }) => !matchesHost(hosts, name))
  const plain = about.filter(({ marker }) => marker === undefined)
  const noted = new Set(plain.map(({ blob }) => nameOfBlob(blob)))
  if (!noted.has(nameOfBlob(current))) return 'the key it shows is not noted under this name'
  const keys = offered.flatMap(blob => readUsable(blob) ?? [])
  const fresh = keys.filter(({ blob }) => !noted.has(nameOfBlob(blob)))
  const obsolete = uniqueKeys(plain.filter(({ blob }) => !listed.has(nameOfBlob(blob))))
  if (fresh.length + obsolete.length === 0) return { fresh, obsolete }

  if (about.some(isComplex)) return 'the host stands on a line with a marker, a pattern or several names'
  const isKeyOf = (those: readonly PublicKey[]) => {
    const blobs = new Set(those.map(({ blob }) => nameOfBlob(blob)))
    return others.some(({ blob }) => blobs.has(nameOfBlob(blob)))
  }
  if (isKeyOf(keys)) return 'one of its keys is noted under another name'
  if (isKeyOf(obsolete)) return 'a key it no longer has is noted under another name'
  return { fresh, obsolete }
}

/** What ssh itself does not write: it writes a name, or a name and an address. */
function isComplex({ marker, hosts }: Entry): boolean {
  if (marker !== undefined) return true
  if ('hash' in hosts) return false
  return hosts.patterns.length > 2 || hosts.patterns.some(pattern => /[*?!]/.test(pattern))
}

/** Certificates, keys of types that are not used, and weak ones are passed over. */
function readUsable(blob: Buffer): PublicKey | undefined {
  const key = tryRead(blob)
  if (!key || !usable.has(key.algorithm.name)) return undefined
  return key.algorithm.name === 'ssh-rsa' && key.bits < MIN_RSA ? undefined : key
}

/** Each once. What can't be read stays on its line: it may be of a type that only ssh knows. */
function uniqueKeys(entries: readonly Entry[]): PublicKey[] {
  const keys = new Map(entries.map(({ blob }) => [nameOfBlob(blob), tryRead(blob)]))
  return [...keys.values()].filter(key => key !== undefined)
}

function tryRead(blob: Buffer): PublicKey | undefined {
  try {
    return PublicKey.fromBlob(blob)
  } catch (error) {
    if (isKeytoolError(error)) return undefined
    throw error
  }
}

function nameOfBlob(blob: Buffer): string {
  return blob.toString('latin1')
}
