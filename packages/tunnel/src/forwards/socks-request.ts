import type { Duplex } from 'node:stream'
import { isPlain, KeytoolError } from '@keytool/keygen'
import { readExactly } from './read-exactly.js'
import { type Outcome, writeReply } from './socks-replies.js'

/** Where a SOCKS client wants to go. */
export interface SocksTarget {
  readonly version: 4 | 5
  /** A name as it was given, or an address. */
  readonly host: string
  /** 1 to 65535. */
  readonly port: number
}

/** A request that is not met, and what its protocol says then. */
export interface SocksRefusal {
  readonly reply: Buffer
  readonly error: KeytoolError
}

const CONNECT = 1
/** SOCKS 4 sets no limit to the user's name and the host's; SOCKS 5 does. */
const MAX_TEXT = 255
const NO_AUTHENTICATION = 0
const NO_METHOD = 0xff

/** Reads so many bytes; throws when there are no more. */
type Read = (count: number) => Promise<Buffer>

/**
 * Reads a request of SOCKS 4, 4a or 5, answering in between where SOCKS 5 wants it. Bytes behind the request are left in
 * the stream.
 * @returns `undefined` when it ended before a word was said
 * @throws KeytoolError `damaged` when it is something else, such as HTTP, or ends in the middle; what `signal` aborts with
 */
export async function readRequest(
  stream: Duplex,
  signal: AbortSignal,
): Promise<SocksTarget | SocksRefusal | undefined> {
  const first = await readExactly(stream, 1, signal)
  if (!first) return undefined
  const read: Read = async count => {
    if (count === 0) return Buffer.alloc(0)
    const bytes = await readExactly(stream, count, signal)
    if (bytes) return bytes
    throw damaged('it ends in the middle of its request')
  }
  if (first[0] === 4) return await readVersion4(read)
  if (first[0] === 5) return await readVersion5(stream, read)
  throw damaged('it does not speak SOCKS')
}

/** SOCKS 4: command, port, address, user; an address of 0.0.0.x says that a name follows (4a). */
async function readVersion4(read: Read): Promise<SocksTarget | SocksRefusal> {
  const head = await read(7)
  const address = head.subarray(3)
  await readText(read)
  const hasName = address.readUInt32BE() < 256 && address[3] !== 0
  const host = hasName ? (await readText(read)).toString('latin1') : formatIPv4(address)
  return check({ version: 4, host, port: head.readUInt16BE(1) }, head[0])
}

/** RFC 1928 sections 3 and 4. The reserved byte is not looked at, as elsewhere. */
async function readVersion5(stream: Duplex, read: Read): Promise<SocksTarget | SocksRefusal> {
  const methods = await read((await read(1)).readUInt8())
  if (!methods.includes(NO_AUTHENTICATION)) {
    return { reply: Buffer.of(5, NO_METHOD), error: unsupported('it insists on a user and a password') }
  }
  stream.write(Buffer.of(5, NO_AUTHENTICATION))
  const [version, command, , type = 0] = await read(4)
  if (version !== 5) throw damaged('it does not speak SOCKS')
  const form = forms[type]
  if (!form) return refusal(5, 'no-address-type', unsupported('it asks for an address of an unknown type'))
  const host = form.show(await read(form.length ?? (await read(1)).readUInt8()))
  return check({ version: 5, host, port: (await read(2)).readUInt16BE() }, command)
}

/** Addresses by their type, RFC 1928 section 5; where no length stands here, it stands in front of them. */
const forms: Readonly<Record<number, { readonly length?: number; readonly show: (bytes: Buffer) => string }>> = {
  1: { length: 4, show: formatIPv4 },
  3: { show: bytes => bytes.toString('latin1') },
  4: { length: 16, show: formatIPv6 },
}

function check(target: SocksTarget, command: number | undefined): SocksTarget | SocksRefusal {
  const { version, host, port } = target
  if (command !== CONNECT) return refusal(version, 'no-command', unsupported('it asks for BIND or UDP'))
  // The name goes to the server as it is, and into its log: nothing that belongs in no name goes with it.
  const isName = !host.startsWith('-') && isPlain(host) && /^[\x21-\x7e]+$/.test(host)
  return isName && port > 0 ? target : refusal(version, 'failed', damaged('it names no host and port'))
}

function refusal(version: 4 | 5, outcome: Outcome, error: KeytoolError): SocksRefusal {
  return { reply: writeReply[version](outcome), error }
}

/** A text that ends with a zero. */
async function readText(read: Read): Promise<Buffer> {
  const bytes: number[] = []
  for (;;) {
    const byte = (await read(1)).readUInt8()
    if (byte === 0) return Buffer.from(bytes)
    if (bytes.length === MAX_TEXT) throw damaged('a name in it is too long')
    bytes.push(byte)
  }
}

function formatIPv4(bytes: Buffer): string {
  return bytes.join('.')
}

function formatIPv6(bytes: Buffer): string {
  const words = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16))
  return words.join(':')
}

const NOT_CARRIED = 'what came in at the SOCKS proxy is not carried'

function damaged(reason: string): KeytoolError {
  return new KeytoolError('damaged', NOT_CARRIED, { reason })
}

function unsupported(reason: string): KeytoolError {
  return new KeytoolError('unsupported', NOT_CARRIED, { reason })
}
