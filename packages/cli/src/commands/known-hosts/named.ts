import { join, resolve } from 'node:path'
import { KeytoolError, nameOfHost, showForeign } from '@keytool/keygen'
import { checkHost, checkPort, type KnownHost, KnownHosts, SessionStore } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { wholeNumber } from '../../options.js'

/** What both commands take. */
export interface HostOptions {
  readonly port?: string
  readonly file?: string
}

export const hostOptions = [
  ['-p, --port <port>', "the server's port"],
  ['-f, --file <file>', 'this file, and no other'],
] as const

/** A host as known_hosts names it. */
export interface Named {
  readonly host: string
  readonly port: number
}

/** The files that the user means. */
export function openNamed({ file }: HostOptions, { places }: Context): KnownHosts {
  if (file === '') throw new KeytoolError('usage', 'the name of the file is empty')
  return new KnownHosts({
    home: places.home,
    ...(file !== undefined && { files: [resolve(file)], systemFiles: [] }),
  })
}

/**
 * `HOST`, `HOST:PORT`, or `[HOST]:PORT` as the file has it; a user before an @ says nothing here.
 * @throws KeytoolError `usage`
 */
export function parseHost(word: string, { port }: HostOptions): Named {
  const place = word.slice(word.lastIndexOf('@') + 1)
  const [, inside, after] = /^\[([^\][]+)\](?::(\d{1,5}))?$/.exec(place) ?? /^([^:]+):(\d{1,5})$/.exec(place) ?? []
  if (after !== undefined && port !== undefined) {
    throw new KeytoolError('usage', `${showForeign(word)} has a port, and so has -p`)
  }
  const number = port === undefined ? checkPort(Number(after ?? 22)) : wholeNumber(port, '-p', 1, 65535)
  return { host: checkHost(inside ?? place), port: number }
}

/** The host of a saved session of that name, if there is one, as its connections look it up. */
export async function namedBySession(word: string, { places }: Context): Promise<Named | undefined> {
  try {
    const { host, port, hostKeyAlias } = await new SessionStore(places.config).load(word)
    return hostKeyAlias === undefined ? { host, port } : { host: hostKeyAlias, port: 22 }
  } catch {
    return undefined
  }
}

/** The error for a host of which nothing is known, with the names it may be known by instead. */
export async function notKnown({ host, port }: Named, knownHosts: KnownHosts): Promise<KeytoolError> {
  const name = nameOfHost(host, port)
  const own = host.toLowerCase()
  const isNear = (each: string) => each === own || (each.startsWith(`[${own}]:`) && each !== name)
  const near = (await knownHosts.list()).flatMap(({ hosts }) => hosts.toLowerCase().split(',')).find(isNear)
  return new KeytoolError('not-found', `no key is known for ${showForeign(name)}`, {
    hint: near === undefined ? 'keytool known-hosts list' : `it is known as ${showForeign(near)}`,
  })
}

/** The facts of a line, for programs: the file with its whole path. */
export function toFacts({ place, marker, hosts, keyType, fingerprint }: KnownHost, { places }: Context): object {
  // Shortened for people; all others are whole.
  const file = place.file.startsWith(join('~', '/')) ? join(places.home, place.file.slice(1)) : place.file
  return { file, line: place.line, marker: marker ?? null, hosts, type: keyType, fingerprint }
}

/** Where a line stands. */
export function showPlace({ place }: KnownHost): string {
  return `${place.file} line ${place.line}`
}
