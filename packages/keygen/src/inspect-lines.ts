import { readAuthorizedKeys } from './formats/lines/authorized-keys.js'
import { decodeKey, findKey, type KeyText } from './formats/lines/key.js'
import { endOfOptions, splitKeyOptions } from './formats/lines/key-options.js'
import { type KnownHostLine, readKnownHosts } from './formats/lines/known-hosts.js'
import { opensshPublic } from './formats/lines/public.js'
import { isIdle, isUtf16, skipBlanks, splitLines, type TextLine } from './formats/lines/text.js'
import { notRecognised } from './formats/registry.js'
import { type Inspected, type InspectedAuthorizedKey, type InspectedKnownHost, inspectPublic } from './inspected.js'
import type { PublicKey } from './key.js'

type LineKind = 'public' | 'authorized_keys' | 'known_hosts'

const format = opensshPublic.name

/**
 * What a file may be by its name alone. ssh's global file is `ssh_known_hosts`; `known_hosts.old` is what ssh-keygen leaves,
 * and with `.sig` its signature over such a file.
 */
const names: readonly (readonly [RegExp, LineKind])[] = [
  [/^authorized_keys(?!.*\.sig$)/s, 'authorized_keys'],
  [/^(ssh_)?known_hosts(?!.*\.sig$)/s, 'known_hosts'],
  [/\.pub$/, 'public'],
]

const readers: Readonly<Record<LineKind, (bytes: Buffer) => Inspected[]>> = {
  public: inspectPublicLines,
  authorized_keys: inspectAuthorizedKeys,
  known_hosts: inspectKnownHosts,
}

/** A file of lines with a key each. Throws `damaged` or `unsupported`. */
export function inspectLines(bytes: Buffer, fileName: string): Inspected[] {
  const named = kindNamed(fileName)
  // Bytes with a NUL in them that nothing else claims are no text at all.
  const isText = isUtf16(bytes) || !bytes.includes(0)
  if (!named && !isText) throw notRecognised(bytes)
  const kind = isNamedForLines(fileName) ? named : kindOf(bytes, named)
  if (!kind) throw notRecognised(bytes)
  return readers[kind](bytes)
}

/** Whether sshd or ssh would read a file of this name, line by line, whatever it holds. */
export function isNamedForLines(fileName: string): boolean {
  const named = kindNamed(fileName)
  return named !== undefined && named !== 'public'
}

/** Whether a key that is not SSH-1's stands on any line. Throws `damaged` for a file that is no text. */
export function holdsOtherKeys(bytes: Buffer): boolean {
  for (const line of splitLines(bytes)) {
    const found = isIdle(line) ? undefined : keyOf(line)
    if (found && found.type !== 'rsa1') return true
  }
  return false
}

function kindNamed(fileName: string): LineKind | undefined {
  const base = fileName.slice(Math.max(fileName.lastIndexOf('/'), fileName.lastIndexOf('\\')) + 1)
  return names.find(([pattern]) => pattern.test(base))?.[1]
}

/** What the lines look like, as far as the first that leaves no doubt. */
function kindOf(bytes: Buffer, named: LineKind | undefined): LineKind | undefined {
  let plain = 0
  let hasOld = false
  for (const line of splitLines(bytes)) {
    if (isIdle(line)) continue
    const kind = kindOfLine(line)
    if (kind === 'public') {
      plain++
      hasOld ||= keyOf(line)?.type === 'rsa1'
    } else if (kind) return kind
  }
  if (plain === 0) return undefined
  // Several plain keys are a list of who may come in, unless the name says otherwise.
  // SSH-1's among them would hide the others in a file that is read as keys and nothing else.
  return plain === 1 || (named === 'public' && !hasOld) ? 'public' : 'authorized_keys'
}

function kindOfLine(line: TextLine): LineKind | undefined {
  const { text } = line
  const start = skipBlanks(text, 0)
  if (findKey(line, start)) return 'public'
  if (/^(@revoked|@cert-authority|\|1\|)/.test(text.slice(start, start + 20))) return 'known_hosts'
  const end = endOfOptions(text, start)
  if (!findKey(line, skipBlanks(text, end))) return undefined
  // A quote has no place in a host's name: options that sshd would not take are still options.
  const word = text.slice(start, end)
  return word.includes('"') || splitKeyOptions(word) ? 'authorized_keys' : 'known_hosts'
}

/** The key of a line of any kind. */
function keyOf(line: TextLine): KeyText | undefined {
  const start = skipBlanks(line.text, 0)
  return findKey(line, start) ?? findKey(line, skipBlanks(line.text, endOfOptions(line.text, start)))
}

/** Throws at the first line that can't be read: a key file has nothing else to show. */
function inspectPublicLines(bytes: Buffer): Inspected[] {
  const found: { key: PublicKey; line: number }[] = []
  for (const line of splitLines(bytes)) {
    const text = isIdle(line) ? undefined : findKey(line, skipBlanks(line.text, 0))
    if (text) found.push({ key: decodeKey(text), line: line.number })
  }
  // A key that is alone in its file is the file; its line says nothing.
  return found.map(({ key, line }) => inspectPublic(key, format, found.length > 1 ? line : undefined))
}

function inspectAuthorizedKeys(bytes: Buffer): InspectedAuthorizedKey[] {
  return readAuthorizedKeys(bytes).map(({ line, type, key, error, comment, options, heeded }) => ({
    kind: 'authorized_keys',
    format,
    line,
    ...(type !== undefined && { type }),
    ...(key && { public: key }),
    ...(error && { error }),
    comment,
    options,
    heeded,
    label: labelOf(comment, options),
  }))
}

function inspectKnownHosts(bytes: Buffer): InspectedKnownHost[] {
  return readKnownHosts(bytes).map(found => {
    const { line, marker, type, key, error, comment, hostsText } = found
    return {
      kind: 'known_hosts',
      format,
      line,
      ...(marker && { marker }),
      hosts: hostsOf(found),
      ...(type !== undefined && { type }),
      ...(key && { public: key }),
      ...(error && { error }),
      comment,
      label: labelOf(comment, hostsText),
    }
  })
}

function hostsOf({ hosts, hostsText }: KnownHostLine): string {
  return hosts && 'hash' in hosts ? 'hashed' : hostsText
}

/** ssh-keygen takes `#` for the beginning of a remark that is no comment of the key's. */
function labelOf(comment: string, before: string): string {
  return comment === '' || comment.startsWith('#') ? before : comment
}
