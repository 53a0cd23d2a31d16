import { join } from 'node:path'
import { type Certificate, findHostTrouble, matchesHost, PublicKey, readCertificate } from '@keytool/keygen'
import { namesInWords } from './host-words.js'
import { type Known, type KnownLine, nameOfBlob, namesInClear, readKnown, stampOf } from './hosts-file.js'

export interface HostsOptions {
  readonly home: string
  /** Default `~/.ssh/known_hosts`, `~/.ssh/known_hosts2`. */
  readonly files?: readonly string[]
  /** Default `/etc/ssh/ssh_known_hosts` and its `2`. */
  readonly systemFiles?: readonly string[]
  /** In milliseconds from 1970. */
  readonly now?: () => number
}

/** A host's key, or the one that signs hosts' certificates. */
export interface KnownKey {
  readonly key: PublicKey
  readonly isAuthority: boolean
}

/** What known_hosts calls hosts. Files that are broken or missing say nothing. */
export interface Hosts {
  /**
   * What a host with this key, or certificate, is called: `host`, or `[host]:port` for ports other than 22; names that the
   * hints have first. A hidden name is found when a hint, ssh's config or another line has it. Never throws, and none for a
   * key that is revoked. That a certificate is signed by its authority, the caller has verified.
   * @param hints words of the command line of who is connected: `-p`, `2222`, `git@web`
   */
  namesOf(hostKey: PublicKey, hints: readonly string[]): readonly string[]
  /**
   * All keys known for a host, hidden lines and authorities included, revoked ones not.
   * @param host `host` or `[host]:port`
   */
  keysOf(host: string): Promise<readonly KnownKey[]>
}

/** How often the files are looked at, in milliseconds. */
const FRESH = 1000
/** Hidden names cost a hash for each line and each guess; so many take some 20 ms. */
const MAX_GUESSES = 5000
const MAX_REMEMBERED = 512

export function createHosts(options: HostsOptions): Hosts {
  const ssh = join(options.home, '.ssh')
  const files = [
    ...(options.files ?? [join(ssh, 'known_hosts'), join(ssh, 'known_hosts2')]),
    ...(options.systemFiles ?? ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2']),
  ]
  return new KnownHosts(files, [join(ssh, 'config')], options.now ?? Date.now)
}

class KnownHosts implements Hosts {
  readonly #files: readonly string[]
  readonly #configs: readonly string[]
  readonly #now: () => number
  #known: Known | undefined
  #stamp = ''
  #looked = Number.NEGATIVE_INFINITY
  /** Of the files as they are, by key and hints. */
  readonly #remembered = new Map<string, readonly string[]>()

  constructor(files: readonly string[], configs: readonly string[], now: () => number) {
    this.#files = files
    this.#configs = configs
    this.#now = now
  }

  namesOf(hostKey: PublicKey, hints: readonly string[]): readonly string[] {
    try {
      const known = this.#look()
      // A certificate runs out by itself.
      if (hostKey.algorithm.certifies) return findNames(known, hostKey, namesInWords(hints), this.#now())
      const name = [nameOfBlob(hostKey.blob), ...hints].join('\0')
      const remembered = this.#remembered.get(name)
      if (remembered) return remembered
      const found = findNames(known, hostKey, namesInWords(hints), this.#now())
      if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear()
      this.#remembered.set(name, found)
      return found
    } catch {
      return []
    }
  }

  async keysOf(host: string): Promise<readonly KnownKey[]> {
    this.#looked = Number.NEGATIVE_INFINITY
    const name = host.toLowerCase().replace(/^\[([^\]]*)\]:22$/, '$1')
    const found = new Map<string, KnownKey>()
    for (const { marker, hosts, blob } of this.#look().lines) {
      if (!matchesHost(hosts, name)) continue
      const key = readKey(blob)
      const isAuthority = marker === 'cert-authority'
      if (key) found.set(`${isAuthority} ${nameOfBlob(blob)}`, { key, isAuthority })
    }
    return [...found.values()]
  }

  #look(): Known {
    const now = this.#now()
    // A clock that was set back must not keep the files from being looked at.
    const isFresh = now >= this.#looked && now - this.#looked < FRESH
    if (this.#known && isFresh) return this.#known
    this.#looked = now
    const stamp = stampOf([...this.#files, ...this.#configs])
    if (this.#known && stamp === this.#stamp) return this.#known
    this.#stamp = stamp
    this.#remembered.clear()
    this.#known = readKnown(this.#files, this.#configs)
    return this.#known
  }
}

function findNames(known: Known, hostKey: PublicKey, hinted: readonly string[], now: number): string[] {
  const certificate = readCertificate(hostKey)
  const plain = certificate ? hostKey.plain : hostKey
  const blobs = [hostKey.blob, plain.blob, ...(certificate ? [certificate.authority.blob] : [])].map(nameOfBlob)
  if (blobs.some(blob => known.revoked.has(blob))) return []
  const found = new Set([
    ...(certificate ? namesByAuthority(known, certificate, hinted, now) : []),
    // ssh takes a certificate that speaks for nobody as the plain key in it.
    ...namesByKey(known.hosts.get(nameOfBlob(plain.blob)) ?? [], known, hinted),
  ])
  return [...hinted.filter(name => found.has(name)), ...[...found].filter(name => !hinted.includes(name))]
}

function namesByKey(lines: readonly KnownLine[], known: Known, hinted: readonly string[]): string[] {
  const clear = lines.flatMap(({ hosts }) => namesInClear(hosts).filter(name => matchesHost(hosts, name)))
  // Lines with patterns fit many names, and one of a guess would be none of the host's; the hints at least are meant.
  const byPattern = hinted.filter(name => lines.some(({ hosts }) => 'patterns' in hosts && matchesHost(hosts, name)))
  return [...clear, ...byPattern, ...namesHidden(lines, known, hinted)]
}

function namesHidden(lines: readonly KnownLine[], known: Known, hinted: readonly string[]): string[] {
  let guesses = 0
  return lines.flatMap(({ hosts }) => {
    if (!('hash' in hosts)) return []
    for (const name of eachOf(hinted, known.names)) {
      if (++guesses > MAX_GUESSES) return []
      // A line hides one name only.
      if (matchesHost(hosts, name)) return [name]
    }
    return []
  })
}

function* eachOf<T>(...lists: readonly (readonly T[])[]): Generator<T> {
  for (const list of lists) yield* list
}

/** A certificate speaks for the hosts that it names itself, as far as the line of its authority lets it. */
function namesByAuthority(known: Known, certificate: Certificate, hinted: readonly string[], now: number): string[] {
  const lines = known.authorities.get(nameOfBlob(certificate.authority.blob)) ?? []
  if (lines.length === 0) return []
  const seconds = BigInt(Math.floor(now / 1000))
  const own = certificate.principals.filter(name => !/[*?\s,[\]]/.test(name))
  return [...hinted, ...own].flatMap(name => {
    const host = name.replace(/^\[(.*)\]:\d+$/, '$1')
    if (findHostTrouble(certificate, host, seconds) !== undefined) return []
    const known = name.toLowerCase()
    return lines.some(({ hosts }) => matchesHost(hosts, known)) ? [known] : []
  })
}

function readKey(blob: Buffer): PublicKey | undefined {
  try {
    return PublicKey.fromBlob(blob)
  } catch {
    return undefined
  }
}
