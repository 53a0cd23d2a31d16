import { createHash } from 'node:crypto'
import { damagedAt, KeytoolError } from '../../error.js'
import type { PrivateKey } from '../../key.js'
import { cipherNamed, decrypt, encrypt } from '../../protect/ciphers.js'
import { Reader, Writer } from '../../wire.js'
import { wrapBase64 } from '../armor.js'
import { checkComment, decodeComment } from '../comment.js'
import type { WritableFormat } from '../format.js'
import { beginsWithMark, type Header, readBlocks, unquote } from './block.js'
import { findLayout, layoutOfWord, readSshcomPrivate, type SshcomLayout, writeSshcomPrivate } from './private.js'

const LABEL = 'SSH2 ENCRYPTED PRIVATE KEY'
const MAGIC = 0x3f6ff9eb
/** The one cipher these files have, under the name OpenSSH has for it, too. */
const CIPHER = cipherNamed('3des-cbc')
/** What PuTTYgen wraps at: base64; a comment's first line and the others, in bytes. */
const WIDTH = { base64: 70, first: 60, other: 70 }
const QUOTE = 0x22

/** A file as it stands, nothing decrypted. */
interface Envelope {
  readonly comment: string
  readonly layout: SshcomLayout
  readonly encrypted: boolean
  readonly sealed: Buffer
  /** Where `sealed` starts in the decoded bytes, for errors. */
  readonly sealedAt: number
}

/**
 * The private keys of ssh.com's SSH2, which Tectia and PuTTYgen have, too. RSA and DSA only. No specification was ever
 * published; the layout is what ssh-keygen and PuTTYgen agree on. The public half is inside the encrypted part.
 *
 * There is no MAC. What is decrypted is checked against itself, every length and every number; only bits of the padding,
 * which is random, can be turned unseen, and they are no part of the key.
 */
export const sshcom: WritableFormat = {
  name: 'sshcom',
  option: 'sshcom',
  title: 'ssh.com',
  ciphers: [CIPHER.name],
  holds: algorithm => findLayout(algorithm) !== undefined,
  keepsComment: true,

  detect: bytes => beginsWithMark(bytes, LABEL),

  async inspect(bytes) {
    const envelope = openEnvelope(bytes)
    const { layout, comment } = envelope
    const facts = { format: sshcom.name, type: layout.algorithm.name, comment }
    if (envelope.encrypted) return { ...facts, encrypted: true, cipher: CIPHER.name, kdf: { name: 'md5' } }
    const key = await readWhole(envelope, envelope.sealed)
    key.wipe()
    return { ...facts, encrypted: false, public: key.publicKey }
  },

  async read(bytes, { passphrase } = {}) {
    const envelope = openEnvelope(bytes)
    if (!envelope.encrypted) return readWhole(envelope, envelope.sealed)
    if (!passphrase) throw new KeytoolError('secret-needed', 'the key is encrypted')
    return readWhole(
      envelope,
      withSecret(passphrase, secret => decrypt(CIPHER, secret, envelope.sealed)),
    )
  },

  async write(key, { passphrase, cipher = CIPHER.name } = {}) {
    const layout = findLayout(key.algorithm)
    if (!layout) throw new KeytoolError('unsupported', `ssh.com files can't hold ${key.algorithm.type} keys`)
    if (cipher !== CIPHER.name) {
      throw new KeytoolError('unsupported', `the cipher ${JSON.stringify(cipher.slice(0, 64))} is not one of ssh.com's`)
    }
    if (passphrase?.length === 0) throw new KeytoolError('usage', 'an empty passphrase protects nothing')
    const comment = Buffer.from(checkComment(key.comment))
    const plain = writeSshcomPrivate(key, layout, passphrase !== undefined)
    const sealed = passphrase ? withSecret(passphrase, secret => encrypt(CIPHER, secret, plain)) : plain
    const [word = ''] = layout.words
    const inner = new Writer()
      .text(word)
      .text(passphrase ? CIPHER.name : 'none')
      .string(sealed)
      .done()
    const body = new Writer()
      .uint32(MAGIC)
      .uint32(inner.length + 8)
      .bytes(inner)
      .done()
    const file = Buffer.concat([
      Buffer.from(`---- BEGIN ${LABEL} ----\n`),
      commentLines(comment),
      Buffer.from(`${wrapBase64(body, WIDTH.base64).join('\n')}\n---- END ${LABEL} ----\n`),
    ])
    for (const buffer of [plain, inner, body]) buffer.fill(0)
    return file
  },
}

function openEnvelope(bytes: Buffer): Envelope {
  const [block, ...others] = readBlocks(bytes, LABEL)
  if (!block || others.length > 0) throw new KeytoolError('damaged', 'there is more after the key')
  const comment = readHeaders(block.headers)
  const reader = new Reader(block.body)
  if (reader.uint32() !== MAGIC) throw damagedAt("the key does not start with ssh.com's number", 0)
  if (reader.uint32() !== block.body.length) throw damagedAt('the key names another length than it has', 4)
  const word = reader.string(256).toString('latin1')
  const cipher = reader.string(64).toString('latin1')
  const sealedAt = reader.offset + 4
  const sealed = reader.string()
  reader.end()
  const layout = layoutOfWord(word)
  if (cipher !== CIPHER.name && cipher !== 'none') {
    throw new KeytoolError('unsupported', `the cipher ${JSON.stringify(cipher)} is not one of ssh.com's`)
  }
  return { comment, layout, encrypted: cipher !== 'none', sealed, sealedAt }
}

/** Takes the decrypted part, and wipes it. */
async function readWhole({ layout, comment, encrypted, sealedAt }: Envelope, plain: Buffer): Promise<PrivateKey> {
  try {
    return await readSshcomPrivate({ layout, comment, plain, wasEncrypted: encrypted, offset: sealedAt })
  } finally {
    plain.fill(0)
  }
}

/** The comment. Stricter than RFC 4716 is about public keys: a turned bit must not make another header of one. */
function readHeaders(headers: readonly Header[]): string {
  for (const { name, offset } of headers) {
    if (!/^(Comment|Subject|x-.+)$/.test(name)) throw damagedAt(`the header "${name}" is not one of ssh.com's`, offset)
  }
  const header = headers.find(({ name }) => name === 'Comment')
  if (!header) return ''
  const { value, offset } = header
  if ((value[0] === QUOTE) !== (value.at(-1) === QUOTE) || (value.length === 1 && value[0] === QUOTE)) {
    throw damagedAt('the comment has one quote only', offset)
  }
  return decodeComment(unquote(value))
}

/** Lends the cipher's key and IV: MD5 of the passphrase, then MD5 of passphrase and that. The IV is zero. */
function withSecret(passphrase: Uint8Array, use: (secret: Buffer) => Buffer): Buffer {
  const first = createHash('md5').update(passphrase).digest()
  const second = createHash('md5').update(passphrase).update(first).digest()
  const secret = Buffer.alloc(CIPHER.key + CIPHER.iv)
  try {
    first.copy(secret)
    second.copy(secret, first.length, 0, CIPHER.key - first.length)
    return use(secret)
  } finally {
    for (const buffer of [first, second, secret]) buffer.fill(0)
  }
}

/** As PuTTYgen writes it: always there, quoted, folded after so many bytes, nothing escaped. */
function commentLines(comment: Buffer): Buffer {
  const parts = ['Comment: "']
  let at = 0
  for (let width = WIDTH.first; comment.length - at > width; width = WIDTH.other) {
    parts.push(comment.toString('latin1', at, at + width), '\\\n')
    at += width
  }
  parts.push(comment.toString('latin1', at), '"\n')
  return Buffer.from(parts.join(''), 'latin1')
}
