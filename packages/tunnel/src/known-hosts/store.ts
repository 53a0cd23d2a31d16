import { join } from 'node:path'
import { readIfThere } from '@keytool/agent/platform'
import {
  fingerprint,
  type HostMarker,
  type Hosts,
  hideName,
  isKeytoolError,
  isPlain,
  KeytoolError,
  type KnownHostLine,
  matchesHost,
  nameOfHost,
  readKnownHosts,
  typeOfBlob,
} from '@keytool/keygen'
import { appendLineToOwn } from './append.js'

/** Where an entry stands. */
export interface Place {
  /** As it may be shown: `~` for the home folder. */
  readonly file: string
  readonly line: number
}

/** What the files say about a host's key. Only `known` is good. */
export type Lookup =
  | { readonly state: 'known'; readonly place: Place }
  | {
      readonly state: 'unknown'
      /** Names in the clear under which this very key is known. */
      readonly otherNames: readonly string[]
    }
  | { readonly state: 'changed'; readonly place: Place; readonly keyType: string; readonly fingerprint: string }
  | { readonly state: 'revoked'; readonly place: Place }

export interface KnownHostsOptions {
  /** The home folder, for `~` in texts. */
  readonly home: string
  /** The user's files; the first one is written to. Default `~/.ssh/known_hosts`, `~/.ssh/known_hosts2`. */
  readonly files?: readonly string[]
  /** Files that are only read. Default `/etc/ssh/ssh_known_hosts` and its `2`. */
  readonly systemFiles?: readonly string[]
}

/** A line that says something about a key, whether that is of a type we know or not. */
interface Entry {
  readonly file: string
  readonly line: number
  readonly marker: HostMarker | undefined
  readonly hosts: Hosts
  readonly keyType: string
  readonly blob: Buffer
}

/** The hosts' keys, where OpenSSH keeps them. Files are read anew each time: other programs write them too. */
export class KnownHosts {
  readonly #home: string
  readonly #files: readonly string[]
  readonly #systemFiles: readonly string[]

  constructor(options: KnownHostsOptions) {
    const ssh = join(options.home, '.ssh')
    this.#home = options.home
    this.#files = options.files ?? [join(ssh, 'known_hosts'), join(ssh, 'known_hosts2')]
    this.#systemFiles = options.systemFiles ?? ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2']
  }

  /**
   * What the files say about this key for this host. A host that is known by other keys only has changed, even when
   * those are of another type: what can't be compared is not trusted.
   * @throws KeytoolError `damaged` or `failed` for a file that can't be read: it might hold the answer
   */
  async lookup(host: string, port: number, blob: Buffer): Promise<Lookup> {
    const entries = await this.#read()
    const about = matching(entries, host, port)
    const revoked = about.find(entry => entry.marker === 'revoked' && entry.blob.equals(blob))
    if (revoked) return { state: 'revoked', place: this.#place(revoked) }
    const plain = about.filter(entry => entry.marker === undefined)
    const same = plain.find(entry => entry.blob.equals(blob))
    if (same) return { state: 'known', place: this.#place(same) }
    const other = plain.find(entry => entry.keyType === typeOfBlob(blob)) ?? plain[0]
    if (!other) return { state: 'unknown', otherNames: namesOf(entries, blob) }
    const { keyType } = other
    return { state: 'changed', place: this.#place(other), keyType, fingerprint: fingerprint(other) }
  }

  /** Key types the host is known by, so that it can be asked for those first. */
  async typesFor(host: string, port: number): Promise<string[]> {
    const entries = matching(await this.#read(), host, port).filter(entry => entry.marker === undefined)
    return [...new Set(entries.map(entry => entry.keyType))]
  }

  /**
   * Notes a key the user has confirmed, at the end of the user's file, hidden when the file hides others. A key that is
   * there already is not written again.
   * @throws KeytoolError `failed` when it can't be written, `refused` for a file of another user's or none at all,
   * `usage` for a name that can't stand in the file
   */
  async remember(host: string, port: number, blob: Buffer): Promise<void> {
    const path = this.#files[0]
    const keyType = typeOfBlob(blob)
    if (path === undefined || keyType === undefined)
      throw new KeytoolError('failed', 'there is no place to note the host key')
    const name = nameOfHost(host, port)
    if (/[\s,|*?!#@]/.test(name) || !isPlain(name)) {
      throw new KeytoolError('usage', `${JSON.stringify(host)} can't stand in known_hosts`)
    }
    await inTurn(async () => {
      if ((await this.lookup(host, port, blob)).state === 'known') return
      const hides = (await this.#readFile(path)).some(({ hosts }) => 'hash' in hosts)
      await appendLineToOwn(path, `${hides ? hideName(name) : name} ${keyType} ${blob.toString('base64')}`)
    })
  }

  async #read(): Promise<Entry[]> {
    const files = [...this.#files, ...this.#systemFiles]
    return (await Promise.all(files.map(file => this.#readFile(file)))).flat()
  }

  /** Lines that can't be understood are passed over; ssh does the same. */
  async #readFile(file: string): Promise<Entry[]> {
    const bytes = await readIfThere(file)
    if (!bytes) return []
    try {
      return readKnownHosts(bytes, { blobsOnly: true }).flatMap(line => entryOf(file, line) ?? [])
    } catch (cause) {
      if (!isKeytoolError(cause)) throw cause
      throw new KeytoolError('damaged', `${this.#shorten(file)} can't be read: ${cause.message}`, {
        hint: 'it has to be text: save it as UTF-8',
        cause,
      })
    }
  }

  #place(entry: Entry): Place {
    return { file: this.#shorten(entry.file), line: entry.line }
  }

  #shorten(path: string): string {
    return path.startsWith(join(this.#home, '/')) ? join('~', path.slice(this.#home.length)) : path
  }
}

function entryOf(file: string, { line, marker, hosts, blob }: KnownHostLine): Entry | undefined {
  const keyType = blob && typeOfBlob(blob)
  return blob && hosts && keyType !== undefined ? { file, line, marker, hosts, keyType, blob } : undefined
}

function matching(entries: readonly Entry[], host: string, port: number): Entry[] {
  const name = nameOfHost(host, port)
  return entries.filter(entry => matchesHost(entry.hosts, name))
}

function namesOf(entries: readonly Entry[], blob: Buffer): string[] {
  return entries
    .filter(entry => entry.marker === undefined && entry.blob.equals(blob))
    .flatMap(({ hosts }) => ('patterns' in hosts ? hosts.patterns : []))
}

/** The last writer of this process; it never fails. */
let lastTurn: Promise<unknown> = Promise.resolve()

/** One after the other: two connections to one host must not both find its key missing. */
function inTurn(work: () => Promise<void>): Promise<void> {
  const turn = lastTurn.then(work)
  lastTurn = turn.catch(() => {})
  return turn
}
