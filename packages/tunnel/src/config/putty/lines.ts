import { unescapeName } from './percent.js'
import type { SavedHostKey } from './settings.js'

/** A file of one session as PuTTY writes it on Unix: a line `Name=value` for each setting. */
export function readSessionLines(text: string): Map<string, string> {
  return readPairs(text.split('\n'), /^([^=]+)=(.*)$/, value => value)
}

/** The same as KiTTY writes it into its folder: a line `Name\value\`, the value escaped as names are. */
export function readKittyLines(text: string): Map<string, string> {
  return readPairs(text.split('\n'), /^([^\\]+)\\(.*)\\$/, unescapeName)
}

/** `~/.putty/sshhostkeys`: a line `type@port:host key` each. */
export function readHostKeyLines(text: string): SavedHostKey[] {
  return text.split('\n').flatMap(line => {
    const [, name, value] = /^([\w-]{1,64}@\d{1,5}:\S{1,1024}) (\S+)$/.exec(line) ?? []
    return name !== undefined && value !== undefined ? [{ name, value }] : []
  })
}

/** An ini file, such as WinSCP.ini: its sections in order, names escaped as they stand. Lines before the first are passed over. */
export function readIni(text: string): { name: string; values: Map<string, string> }[] {
  const sections: { name: string; lines: string[] }[] = []
  for (const line of text.split('\n')) {
    const name = /^\[(.+)\]\s*$/.exec(line)?.[1]
    if (name === undefined) sections.at(-1)?.lines.push(line)
    else sections.push({ name, lines: [] })
  }
  return sections.map(({ name, lines }) => ({ name, values: readPairs(lines, /^([^=]+)=(.*)$/, unescapeName) }))
}

/** Of two of one name the first counts, as for PuTTY. */
function readPairs(lines: readonly string[], pattern: RegExp, decode: (value: string) => string): Map<string, string> {
  const values = new Map<string, string>()
  for (const line of lines) {
    const [, name, value] = pattern.exec(line) ?? []
    if (name !== undefined && value !== undefined && !values.has(name)) values.set(name, decode(value))
  }
  return values
}
