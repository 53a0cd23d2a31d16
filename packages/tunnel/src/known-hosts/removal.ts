import type { Hosts } from '@keytool/keygen'
import { matching, readEntries } from './entries.js'
import { type ChangeLine, editLines } from './lines.js'

/** What becomes of a line when a name is taken out of it. */
export type Removal =
  /** It goes. */
  | 'line'
  /** It stays for the other names on it. */
  | 'name'
  /** It is about the name by a pattern, so it is about others too, and stays as it is. */
  | 'none'

/** @param name in small letters, with its port in brackets; the line is about it */
export function removalOf(hosts: Hosts, name: string): Removal {
  if ('hash' in hosts) return 'line'
  const rest = hosts.patterns.filter(pattern => pattern.toLowerCase() !== name)
  if (rest.length === hosts.patterns.length) return 'none'
  // What only rules names out is about nobody.
  return rest.some(pattern => pattern !== '' && !pattern.startsWith('!')) ? 'name' : 'line'
}

/**
 * The file without a name on the lines of those keys that are meant; `undefined` when it names none of them. Authorities and
 * revoked keys stay, as does every line that is about the name by a pattern, or can't be read.
 * @param name in small letters, with its port in brackets
 * @throws KeytoolError `damaged` for a file that is no text
 */
export function removeName(bytes: Buffer, name: string, isMeant: (blob: Buffer) => boolean): Buffer | undefined {
  const changes = new Map<number, ChangeLine>()
  for (const { line, marker, hosts, blob } of matching(readEntries(bytes), name)) {
    const removal = removalOf(hosts, name)
    if (marker !== undefined || removal === 'none' || !isMeant(blob)) continue
    // By its place among the names, since what is no UTF-8 is not compared as it stands.
    const isGone = (index: number) => 'patterns' in hosts && hosts.patterns[index]?.toLowerCase() === name
    changes.set(line, removal === 'line' ? () => undefined : text => withoutNames(text, isGone))
  }
  return changes.size > 0 ? editLines(bytes, changes) : undefined
}

/** A line, its end included, without some of its names. Every other byte stays. */
function withoutNames(line: Buffer, isGone: (index: number) => boolean): Buffer {
  const text = line.toString('latin1')
  const [, before = '', field = ''] = /^((?:\u00ef\u00bb\u00bf)?[ \t]*)([^ \t]*)/.exec(text) ?? []
  const rest = field.split(',').filter((_name, index) => !isGone(index))
  return Buffer.from(`${before}${rest.join(',')}${text.slice(before.length + field.length)}`, 'latin1')
}
