import { isUtf8 } from 'node:buffer'
import { KeytoolError } from '@keytool/keygen'

/** In bytes: ten thousand hosts with all their variables are less. */
const MAX_FILE = 1024 * 1024

/**
 * The text of a file of hosts.
 * @throws KeytoolError `damaged` for one that is too large or no text, `unsupported` for UTF-16
 */
export function decodeText(bytes: Buffer, name: string): string {
  if (bytes.length > MAX_FILE) {
    throw new KeytoolError('damaged', `${name} is larger than ${MAX_FILE} bytes, so it is no file of hosts`)
  }
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    throw new KeytoolError('unsupported', `${name} is in UTF-16`, {
      reason: 'no host was taken from it',
      hint: 'save it as UTF-8',
    })
  }
  if (bytes.includes(0) || !isUtf8(bytes)) {
    throw new KeytoolError('damaged', `${name} is no text in UTF-8, so it is no file of hosts`)
  }
  return bytes.toString('utf8').replace(/^\ufeff/, '')
}

/** Lines as Python's `splitlines` has them, which is what Ansible reads by. */
export function splitLines(text: string): string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these end a line there
  const lines = text.split(/\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/)
  if (lines.at(-1) === '') lines.pop()
  return lines
}

/** What is wrong with the file as a whole, and on which line. */
export function damagedFile(name: string, line: number | undefined, what: string, cause?: unknown): KeytoolError {
  return new KeytoolError('damaged', `${name}${line === undefined ? '' : ` line ${line}`}: ${what}`, {
    reason: 'no host was taken from it',
    cause,
  })
}
