import { join } from 'node:path'
import { readIfThere } from '@keytool/agent/platform'
import {
  fingerprint,
  type HostMarker,
  hideName,
  isKeytoolError,
  isPlain,
  KeytoolError,
  nameOfHost,
  typeOfBlob,
} from '@keytool/keygen'
import { appendToOwn } from './append.js'
import { type Entry, matching, type Place, readEntries } from './entries.js'
import { withLines } from './lines.js'
import { findRevokedIn } from './revoked.js'
import { inTurn } from './turn.js'
import { authoritiesIn, judge, keysIn, type Lookup } from './verdict.js'

export type { Lookup, Place }

export interface KnownHostsOptions {
  /** The home folder, for `~` in texts. */
  readonly home: string
  /** The user's files; the first one is written to. Default `~/.ssh/known_hosts`, `~/.ssh/known_hosts2`. */
  readonly files?: readonly string[]
  /** Files that are only read. Default `/etc/ssh/ssh_known_hosts` and its `2`. */
  readonly systemFiles?: readonly string[]
  /** Whether names are hidden when they are noted (ssh's HashKnownHosts). Default: where the file hides others. */
  readonly hash?: boolean
  /** Nothing is ever written, and nothing that is confirmed is noted: for a dry run. */
  readonly readOnly?: boolean
  /** Files of keys that no host may show (ssh's RevokedHostKeys). Each has to be there. */
  readonly revokedFiles?: readonly string[]
  /** What an authority's signature may be made with (ssh's CASignatureAlgorithms). Default: all but SHA-1. */
  readonly caSchemes?: readonly string[] | undefined
  /** In milliseconds from 1970, for the validity of certificates. */
  readonly now?: () => number
}

/** A line about a host. */
export interface KnownHost {
  readonly place: Place
  readonly marker: HostMarker | undefined
  /** As they stand on the line: foreign text. */
  readonly hosts: string
  readonly keyType: string
  /** `SHA256:…` */
  readonly fingerprint: string
}

/** The hosts' keys, where OpenSSH keeps them. Files are read anew each time: other programs write them too. */
export class KnownHosts {
  /** The user's files; the first one is written to. */
  readonly files: readonly string[]
  /** Whether they are others than the usual ones. */
  readonly hasOwnFiles: boolean
  readonly isReadOnly: boolean
  readonly #home: string
  readonly #systemFiles: readonly string[]
  readonly #hash: boolean | undefined
  readonly #revokedFiles: readonly string[]
  readonly #caSchemes: readonly string[] | undefined
  readonly #now: () => number

  constructor(options: KnownHostsOptions) {
    const ssh = join(options.home, '.ssh')
    this.#home = options.home
    this.files = options.files ?? [join(ssh, 'known_hosts'), join(ssh, 'known_hosts2')]
    this.hasOwnFiles = options.files !== undefined
    this.#systemFiles = options.systemFiles ?? ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2']
    this.#hash = options.hash
    this.isReadOnly = options.readOnly ?? false
    this.#revokedFiles = options.revokedFiles ?? []
    this.#caSchemes = options.caSchemes
    this.#now = options.now ?? Date.now
  }

  /**
   * What the files say about this key, or certificate, for this host. A host that is known by other keys only has changed,
   * even when those are of another type: what can't be compared is not trusted.
   * @throws KeytoolError `damaged` or `failed` for a file that can't be read: it might hold the answer; `damaged`,
   * `unsupported` for a certificate that is none;
   * of files of revoked keys as {@link findRevokedIn}
   */
  async lookup(host: string, port: number, blob: Buffer): Promise<Lookup> {
    const revoked = await findRevokedIn(this.#revokedFiles, blob, path => this.shorten(path))
    if (revoked) return { state: 'revoked', place: revoked.place, fingerprint: fingerprint(revoked) }
    const rules = { now: BigInt(Math.floor(this.#now() / 1000)), schemes: this.#caSchemes }
    return judge(await this.entries(), host, port, blob, rules)
  }

  /** Key types the host is known by, so that it can be asked for those first. */
  async typesFor(host: string, port: number): Promise<string[]> {
    return [...new Set(keysIn(await this.entries(), host, port).map(({ keyType }) => keyType))]
  }

  /** Whether an authority (`@cert-authority`) may speak for the host, so that it can be asked for a certificate. */
  async authoritiesFor(host: string, port: number): Promise<boolean> {
    return authoritiesIn(await this.entries(), host, port).length > 0
  }

  /** The lines about a host and port, by pattern or hidden too; without a host all. In the files' order. */
  async list(host?: string, port = 22): Promise<KnownHost[]> {
    const entries = await this.entries()
    return (host === undefined ? entries : matching(entries, nameOfHost(host, port))).map(describeEntry)
  }

  /**
   * Notes a key the user has confirmed, at the end of the user's file, hidden when names are hidden there. A key that is
   * there already is not written again.
   * @throws KeytoolError `failed` when it can't be written, `refused` for a file of another user's or none at all,
   * `usage` for a name that can't stand in the file
   */
  async remember(host: string, port: number, blob: Buffer): Promise<void> {
    if (this.isReadOnly) return
    const [path] = this.files
    if (path === undefined) throw new KeytoolError('failed', 'there is no place to note the host key')
    await inTurn(async () => {
      if ((await this.lookup(host, port, blob)).state === 'known') return
      await appendToOwn(path, withLines(Buffer.alloc(0), await this.linesToAdd(host, port, [blob])))
    })
  }

  /**
   * Lines that say a host has these keys, as they are to be noted in the user's first file.
   * @throws KeytoolError `usage` for a name that can't stand there
   */
  async linesToAdd(host: string, port: number, blobs: readonly Buffer[]): Promise<string[]> {
    const name = nameOfHost(host, port)
    if (/[\s,|*?!#@]/.test(name) || !isPlain(name)) {
      throw new KeytoolError('usage', `${JSON.stringify(host)} can't stand in known_hosts`)
    }
    const [path] = this.files
    const hides =
      this.#hash ?? (path !== undefined && (await this.#readFile(path, true)).some(({ hosts }) => 'hash' in hosts))
    return blobs.map(blob => `${hides ? hideName(name) : name} ${typeOfBlob(blob)} ${blob.toString('base64')}`)
  }

  /** All lines that have a key: those of the user's files first. */
  async entries(): Promise<Entry[]> {
    const own = this.files.map(file => this.#readFile(file, true))
    const others = this.#systemFiles.map(file => this.#readFile(file, false))
    return (await Promise.all([...own, ...others])).flat()
  }

  /** Lines that can't be understood are passed over; ssh does the same. */
  async #readFile(path: string, isOwn: boolean): Promise<Entry[]> {
    const file = this.shorten(path)
    const bytes = await readIfThere(path)
    if (!bytes) return []
    try {
      return readEntries(bytes).map(entry => ({ ...entry, path, place: { file, line: entry.line }, isOwn }))
    } catch (cause) {
      if (!isKeytoolError(cause)) throw cause
      throw new KeytoolError('damaged', `${file} can't be read: ${cause.message}`, {
        hint: 'it has to be text: save it as UTF-8',
        cause,
      })
    }
  }

  /** A path as it may be shown. */
  shorten(path: string): string {
    return path.startsWith(join(this.#home, '/')) ? join('~', path.slice(this.#home.length)) : path
  }
}

/** A line as it may be told of. */
export function describeEntry(entry: Entry): KnownHost {
  const { place, marker, hostsText, keyType } = entry
  return { place, marker, hosts: hostsText, keyType, fingerprint: fingerprint(entry) }
}
