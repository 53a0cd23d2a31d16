import { Reader, Writer } from '@keytool/keygen'

/** SSH_MSG_KEXINIT, and how many bytes stand before its lists: the number itself and a cookie. */
export const KEXINIT = 20
const HEAD = 17
/** What a list may hold, in bytes. OpenSSH's longest has some 600. */
const MAX_LIST = 32 * 1024

/** The lists of RFC 4253 section 7.1, in their order; `c2s` is what we send, `s2c` what the server does. */
const fields = [
  'kex',
  'hostKey',
  'cipherC2s',
  'cipherS2c',
  'macC2s',
  'macS2c',
  'compressC2s',
  'compressS2c',
  'languagesC2s',
  'languagesS2c',
] as const

/** Beside algorithms, the list of key exchanges has what a side understands of the protocol. */
export const MARKERS: RegExp = /^(ext-info-[cs]|kex-strict-[cs]-v00@openssh\.com)$/

export type Lists = Readonly<Record<(typeof fields)[number], readonly string[]>>

/** What somebody offers in SSH_MSG_KEXINIT. Throws `damaged`. */
export function readKexInit(payload: Uint8Array): Lists {
  const reader = new Reader(payload)
  reader.bytes(HEAD)
  const lists = Object.fromEntries(fields.map(name => [name, namesIn(reader)]))
  return lists as unknown as Lists
}

/** The same message with other lists in place of these. */
export function replaceLists(payload: Uint8Array, changed: Partial<Lists>): Buffer {
  const reader = new Reader(payload)
  const writer = new Writer().bytes(reader.bytes(HEAD))
  for (const name of fields) {
    const old = reader.string(MAX_LIST)
    const list = changed[name]
    writer.string(list ? Buffer.from(list.join(','), 'latin1') : old)
  }
  return writer.bytes(reader.bytes(reader.left)).done()
}

/** The first of ours that they have, too (RFC 4253 section 7.1: the client's order decides). */
export function agree(ours: readonly string[], theirs: readonly string[]): string | undefined {
  return ours.find(name => theirs.includes(name))
}

function namesIn(reader: Reader): string[] {
  const list = reader.string(MAX_LIST).toString('latin1')
  return list === '' ? [] : list.split(',')
}
