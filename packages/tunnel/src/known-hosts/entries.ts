import {
  type HostMarker,
  type Hosts,
  type KnownHostLine,
  matchesHost,
  readKnownHosts,
  typeOfBlob,
} from '@keytool/keygen'

/** Where an entry stands. */
export interface Place {
  /** As it may be shown: `~` for the home folder. */
  readonly file: string
  readonly line: number
}

/** A line that says something about a key, whether that is of a type we know or not. */
export interface LineEntry {
  readonly line: number
  readonly marker: HostMarker | undefined
  readonly hosts: Hosts
  /** The names as they stand there: foreign text. */
  readonly hostsText: string
  readonly keyType: string
  readonly blob: Buffer
}

/** One of the lines that {@link KnownHosts} reads. */
export interface Entry extends LineEntry {
  readonly path: string
  readonly place: Place
  /** Of a file of the user's own, which may be changed. */
  readonly isOwn: boolean
}

/**
 * The lines with keys. What can't be understood is passed over; ssh does the same.
 * @throws KeytoolError `damaged` for a file that is no text, or has more lines than any real one
 */
export function readEntries(bytes: Buffer): LineEntry[] {
  return readKnownHosts(bytes, { blobsOnly: true }).flatMap(line => entryOf(line) ?? [])
}

function entryOf({ line, marker, hosts, hostsText, blob }: KnownHostLine): LineEntry | undefined {
  const keyType = blob && typeOfBlob(blob)
  return blob && hosts && keyType !== undefined ? { line, marker, hosts, hostsText, keyType, blob } : undefined
}

/** Those about a name, which is in small letters and has its port in brackets. */
export function matching<T extends LineEntry>(entries: readonly T[], name: string): T[] {
  return entries.filter(({ hosts }) => matchesHost(hosts, name))
}
