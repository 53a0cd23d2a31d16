import { damagedAt } from '../../error.js'
import { decodeBase64, wrapBase64 } from '../armor.js'

/** As far as text before a key may go: `openssl` writes a certificate's names and a key's attributes there. In bytes. */
const HEAD = 64 * 1024
/** Of base64 in a line, as OpenSSL writes it. */
const WIDTH = 64
const DASHES = '-----'
/** The curve, which OpenSSL writes before a key that names it, too. */
const PARAMETERS = 'EC PARAMETERS'
const BYTE_ORDER_MARK = Buffer.of(0xef, 0xbb, 0xbf)

/** One block of a PEM file, RFC 7468 and, for the header lines, RFC 1421 section 4.4. */
export interface PemBlock {
  readonly label: string
  /** The lines before the blank one, as they stand; none in most files. */
  readonly headers: readonly string[]
  /** What the base64 says. The caller wipes it where it is secret. */
  readonly body: Buffer
}

interface Line {
  /** Without its end, and spaces and tabs before that. */
  readonly text: string
  /** Offset of its first byte. */
  readonly start: number
}

/** Whether a block with one of these labels begins near the beginning. Never throws. */
export function hasPem(bytes: Buffer, labels: readonly string[]): boolean {
  for (const { text } of linesOf(bytes.subarray(0, HEAD))) {
    if (labels.includes(beginning(text) ?? '')) return true
  }
  return false
}

/**
 * All blocks with one of these labels. Other blocks, and text outside of blocks, are passed over.
 * @throws KeytoolError `damaged` with the offset when there is none, or one is not whole
 */
export function readPem(bytes: Buffer, labels: readonly string[]): PemBlock[] {
  const blocks: PemBlock[] = []
  const lines = linesOf(bytes)
  // Not a for loop: a block takes lines of its own.
  for (let line = lines.next(); !line.done; line = lines.next()) {
    const label = beginning(line.value.text)
    if (label !== undefined && labels.includes(label)) blocks.push(readBlock(bytes, label, line.value.start, lines))
  }
  if (blocks.length === 0) throw damagedAt(`no line "${DASHES}BEGIN ${labels[0]}${DASHES}" in the file`, 0)
  return blocks
}

/** The labels of all blocks that begin, whoever reads them, and the offset of each. Never throws. */
export function* labelsOf(bytes: Buffer): Generator<{ label: string; start: number }, undefined> {
  for (const { text, start } of linesOf(bytes)) {
    const label = beginning(text)
    if (label !== undefined) yield { label, start }
  }
}

/** Whether blocks with these labels, EC parameters and white space are all there is: text is somebody's. Never throws. */
export function holdsOnly(bytes: Buffer, labels: readonly string[]): boolean {
  const lines = linesOf(bytes)
  try {
    for (let line = lines.next(); !line.done; line = lines.next()) {
      const { text, start } = line.value
      if (text === '') continue
      const label = beginning(text) ?? ''
      if (label !== PARAMETERS && !labels.includes(label)) return false
      const { headers, body } = readBlock(bytes, label, start, lines)
      body.fill(0)
      if (label === PARAMETERS && headers.length > 0) return false
    }
    return true
  } catch {
    // A block that is not whole: nobody knows what it is.
    return false
  }
}

/** A PEM file of one block. */
export function writePem(label: string, body: Uint8Array, headers: readonly string[] = []): Buffer {
  const head = headers.length > 0 ? [...headers, ''] : []
  const [begin, end] = [`${DASHES}BEGIN ${label}${DASHES}`, `${DASHES}END ${label}${DASHES}`]
  const lines = [begin, ...head, ...wrapBase64(body, WIDTH), end, '']
  return Buffer.from(lines.join('\n'), 'latin1')
}

function readBlock(bytes: Buffer, label: string, start: number, lines: Generator<Line>): PemBlock {
  const end = `${DASHES}END ${label}${DASHES}`
  const next = (): Line => {
    const line = lines.next()
    if (line.done) throw damagedAt(`the line "${end}" is missing: the file is cut short`, bytes.length)
    return line.value
  }
  const headers: string[] = []
  let line = next()
  for (; line.text.includes(':'); line = next()) headers.push(line.text)
  if (headers.length > 0 && line.text !== '') throw damagedAt('no blank line follows the header lines', line.start)
  const from = line.start
  for (; line.text !== end; line = next()) {
    if (line.text.startsWith(DASHES)) throw damagedAt(`another line stands where "${end}" should be`, line.start)
    if (!/^[A-Za-z0-9+/=]*$/.test(line.text)) throw damagedAt('a line is not base64', line.start)
  }
  // One bit makes a tab of a carriage return: where lines end with CR LF, none ends with a tab and LF.
  const block = bytes.toString('latin1', start, line.start + end.length + 2)
  const odd = block.includes('\r') ? block.indexOf('\t\n') : -1
  if (odd >= 0) throw damagedAt('a line ends in another way than the others', start + odd)
  return { label, headers, body: decodeBase64(bytes.toString('latin1', from, line.start), from) }
}

/** The label of the block that a line begins. */
function beginning(line: string): string | undefined {
  const begin = `${DASHES}BEGIN `
  return line.startsWith(begin) && line.endsWith(DASHES) ? line.slice(begin.length, -DASHES.length) : undefined
}

function* linesOf(bytes: Buffer): Generator<Line, undefined> {
  let start = bytes.subarray(0, 3).equals(BYTE_ORDER_MARK) ? 3 : 0
  while (start < bytes.length) {
    const found = bytes.indexOf(10, start)
    const end = found < 0 ? bytes.length : found
    yield { text: bytes.toString('latin1', start, trimmed(bytes, start, end)), start }
    start = end + 1
  }
}

/** Where a line's text ends: before a carriage return, spaces and tabs. */
function trimmed(bytes: Buffer, start: number, end: number): number {
  let at = bytes[end - 1] === 13 ? end - 1 : end
  while (at > start && (bytes[at - 1] === 32 || bytes[at - 1] === 9)) at--
  return Math.max(at, start)
}
