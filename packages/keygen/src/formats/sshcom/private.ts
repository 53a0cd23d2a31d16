import { randomBytes } from 'node:crypto'
import type { Algorithm } from '../../algorithms/algorithm.js'
import { dsa } from '../../algorithms/dsa.js'
import { rsa } from '../../algorithms/rsa.js'
import { damagedAt, KeytoolError } from '../../error.js'
import { PrivateKey } from '../../key.js'
import { bitLength, Reader, stripZeros, Writer } from '../../wire.js'

/** Of a number in a file, in bits. Above every key that is supported. */
const MAX_BITS = 16384
/** What stands before the numbers' own lengths: the length of what is not padding. */
const LENGTH_SIZE = 4

/** Blocks that the plain part of an encrypted file fills. */
const BLOCK = 8

/** How one type of key is laid out. */
export interface SshcomLayout {
  readonly algorithm: Algorithm
  /** Names of the type, the one to write first. */
  readonly words: readonly string[]
  /** The numbers, by the names of their parts. ssh.com's p and q are the other way round, so that its u is iqmp. */
  readonly numbers: readonly string[]
  /** A uint32 of zero comes first: "no predefined group". */
  readonly zero: boolean
}

const layouts: readonly SshcomLayout[] = [
  {
    algorithm: rsa,
    words: [
      'if-modn{sign{rsa-pkcs1-sha1},encrypt{rsa-pkcs1v2-oaep}}',
      'if-modn{sign{rsa-pkcs1-md5,rsa-pkcs1-none},encrypt{rsa-pkcs1-none}}',
      'if-modn{sign{rsa-pkcs1-sha1}}',
    ],
    numbers: ['e', 'd', 'n', 'iqmp', 'q', 'p'],
    zero: false,
  },
  {
    algorithm: dsa,
    words: ['dl-modp{sign{dsa-nist-sha1},dh{plain}}'],
    numbers: ['p', 'g', 'q', 'y', 'x'],
    zero: true,
  },
]

/** The layout with this name of a type in a file. Throws `unsupported`. */
export function layoutOfWord(word: string): SshcomLayout {
  const layout = layouts.find(({ words }) => words.includes(word))
  if (layout) return layout
  throw new KeytoolError('unsupported', `ssh.com keys of type ${JSON.stringify(word.slice(0, 80))} are not supported`)
}

/** The layout of a type's keys, if these files can hold them. */
export function findLayout({ name }: Algorithm): SshcomLayout | undefined {
  return layouts.find(({ algorithm }) => algorithm.name === name)
}

/** The private part of a file, decrypted. */
export interface SshcomPrivate {
  readonly layout: SshcomLayout
  readonly comment: string
  readonly plain: Buffer
  readonly wasEncrypted: boolean
  /** Where it starts, for errors. */
  readonly offset: number
}

/**
 * The key in a private part: a length, so many bytes of numbers, and less than a block of padding.
 * @throws KeytoolError `damaged`, or `secret-wrong` where what was decrypted does not even begin well
 */
export async function readSshcomPrivate({
  layout,
  comment,
  plain,
  wasEncrypted,
  offset,
}: SshcomPrivate): Promise<PrivateKey> {
  const outer = new Reader(plain, offset)
  const length = plain.length < LENGTH_SIZE ? -1 : outer.uint32()
  const padding = plain.length - LENGTH_SIZE - length
  if (length < 0 || padding < 0 || padding >= BLOCK) {
    // The length is the one sign of a wrong passphrase: one in 2^29 gives a length that fits.
    if (wasEncrypted) {
      throw new KeytoolError('secret-wrong', 'wrong passphrase', {
        reason: 'or the file was altered: what it decrypts to is no key',
      })
    }
    throw damagedAt('the key names another length than it has', offset)
  }
  const reader = new Reader(outer.bytes(length), offset + LENGTH_SIZE)
  const parts: Record<string, Buffer> = {}
  try {
    if (layout.zero && reader.uint32() !== 0) throw damagedAt('the key refers to a predefined group', reader.offset - 4)
    for (const name of layout.numbers) parts[name] = readNumber(reader)
    reader.end()
    return await PrivateKey.fromParts(layout.algorithm, parts, comment)
  } catch (error) {
    for (const part of Object.values(parts)) part.fill(0)
    throw error
  }
}

/** The reverse of {@link readSshcomPrivate}, with random padding where it will be encrypted. The caller wipes it. */
export function writeSshcomPrivate(key: PrivateKey, { numbers, zero }: SshcomLayout, toEncrypt: boolean): Buffer {
  const block = toEncrypt ? BLOCK : 1
  const writer = new Writer()
  if (zero) writer.uint32(0)
  for (const name of numbers) {
    const number = stripZeros(key.parts[name] ?? Buffer.alloc(0))
    writer.uint32(bitLength(number)).bytes(number)
  }
  const body = writer.done()
  const padding = (block - ((LENGTH_SIZE + body.length) % block)) % block
  const plain = new Writer().string(body).bytes(randomBytes(padding)).done()
  body.fill(0)
  return plain
}

/** A uint32 of its length in bits, then its bytes. A copy of its own. */
function readNumber(reader: Reader): Buffer {
  const offset = reader.offset
  const bits = reader.uint32()
  if (bits > MAX_BITS) throw damagedAt(`a number claims ${bits} bits`, offset)
  const bytes = reader.bytes(Math.ceil(bits / 8))
  if (bitLength(bytes) !== bits) throw damagedAt('a number has another length than it claims', offset)
  return Buffer.from(bytes)
}
