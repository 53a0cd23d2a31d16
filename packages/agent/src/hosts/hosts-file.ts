import { closeSync, constants, fstatSync, openSync, readFileSync, statSync } from 'node:fs'
import { type HostMarker, type Hosts, type KnownHostLine, readKnownHosts } from '@keytool/keygen'
import { namesInConfig } from './host-words.js'

/** As much as anything else reads of such a file. In bytes. */
const MAX_FILE = 16 * 1024 * 1024
/** Opening a pipe waits for its other end, unless it is told not to. Windows has no such flag. */
const WITHOUT_WAITING = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/** A line of known_hosts. */
export interface KnownLine {
  readonly marker: HostMarker | undefined
  readonly hosts: Hosts
  readonly blob: Buffer
}

/** What the files say, ready to be asked. */
export interface Known {
  /** In their order, without those that are revoked wherever they stand. */
  readonly lines: readonly KnownLine[]
  /** Of hosts and of authorities, by their blobs' {@link nameOfBlob}. */
  readonly hosts: ReadonlyMap<string, readonly KnownLine[]>
  readonly authorities: ReadonlyMap<string, readonly KnownLine[]>
  readonly revoked: ReadonlySet<string>
  /** Names that stand in the clear somewhere, and could be what a hidden one hides. */
  readonly names: readonly string[]
}

/** A blob as the key of a map. */
export function nameOfBlob(blob: Buffer): string {
  return blob.toString('latin1')
}

/** Which files they are, and how they are; another text when one of them has changed. */
export function stampOf(files: readonly string[]): string {
  return files.map(stampOfFile).join('\n')
}

function stampOfFile(file: string): string {
  try {
    const stats = statSync(file, { throwIfNoEntry: false })
    return stats ? `${stats.ino} ${stats.size} ${stats.mtimeMs}` : ''
  } catch {
    return ''
  }
}

/** Reads them all at once: names are wanted while somebody waits for a signature. A file that can't be read says nothing. */
export function readKnown(files: readonly string[], configs: readonly string[]): Known {
  const all = files.flatMap(readLines)
  const revoked = new Set(all.filter(({ marker }) => marker === 'revoked').map(({ blob }) => nameOfBlob(blob)))
  const lines = all.filter(({ blob }) => !revoked.has(nameOfBlob(blob)))
  const inConfigs = configs.flatMap(file => namesInConfig(readSmall(file)?.toString('utf8') ?? ''))
  return {
    lines,
    revoked,
    hosts: groupByBlob(lines.filter(({ marker }) => marker === undefined)),
    authorities: groupByBlob(lines.filter(({ marker }) => marker === 'cert-authority')),
    names: [...new Set([...inConfigs, ...lines.flatMap(({ hosts }) => namesInClear(hosts))])],
  }
}

/** Those that a line spells out: no pattern, nothing hidden, nothing ruled out. */
export function namesInClear(hosts: Hosts): string[] {
  if ('hash' in hosts) return []
  return hosts.patterns.filter(pattern => !/[*?!]/.test(pattern)).map(pattern => pattern.toLowerCase())
}

function readLines(file: string): KnownLine[] {
  const bytes = readSmall(file)
  if (!bytes) return []
  try {
    return readKnownHosts(bytes, { blobsOnly: true }).flatMap(toKnown)
  } catch {
    return []
  }
}

function toKnown({ marker, hosts, blob }: KnownHostLine): KnownLine[] {
  return hosts && blob ? [{ marker, hosts, blob }] : []
}

function readSmall(file: string): Buffer | undefined {
  let handle: number | undefined
  try {
    handle = openSync(file, WITHOUT_WAITING)
    const stats = fstatSync(handle)
    return stats.isFile() && stats.size <= MAX_FILE ? readFileSync(handle) : undefined
  } catch {
    return undefined
  } finally {
    if (handle !== undefined) closeSync(handle)
  }
}

function groupByBlob(lines: readonly KnownLine[]): Map<string, KnownLine[]> {
  const groups = new Map<string, KnownLine[]>()
  for (const line of lines) {
    const name = nameOfBlob(line.blob)
    const group = groups.get(name)
    if (group) group.push(line)
    else groups.set(name, [line])
  }
  return groups
}
