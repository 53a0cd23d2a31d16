import { DerReader, tags } from '../../der-reader.js'
import { damagedAt } from '../../error.js'
import type { PublicKey } from '../../key.js'
import { decodeBase64 } from '../armor.js'
import type { PublicFormat } from '../format.js'
import { plainComment } from './comment.js'
import { readBySshpk } from './sshpk.js'

const BEGIN = '-----BEGIN CERTIFICATE-----'
const END = '-----END CERTIFICATE-----'
/** Of one certificate in DER, and of a file with a chain of them. In bytes. */
const MAX = { certificate: 64 * 1024, file: 1 << 20 }
/** Tools write what a certificate says in front of it; as far as that is passed over. In bytes. */
const HEAD = 64 * 1024
/** A name longer than this is cut. X.509 allows 64 characters (RFC 5280 appendix A.1). */
const MAX_NAME = 256
/** `[0]`, the version, which old certificates leave out. */
const VERSION = 0xa0

/**
 * The keys of X.509 certificates (RFC 5280), PEM or DER, read through sshpk: RSA, ECDSA, Ed25519. The comment is the
 * subject's common name. Only the key is of interest: nothing is said about the certificate's own signature or dates.
 */
export const x509: PublicFormat = {
  name: 'x509',
  title: 'X.509 certificate',

  detect: bytes => looksLikeDer(bytes) || findLine(bytes.toString('latin1', 0, HEAD), BEGIN, 0) >= 0,

  async read(bytes) {
    if (looksLikeDer(bytes)) return [await readDer(bytes, 0)]
    const keys: PublicKey[] = []
    for (const { der, offset } of readPem(bytes)) keys.push(await readDer(der, offset))
    return keys
  },
}

function readDer(der: Buffer, offset: number): Promise<PublicKey> {
  if (der.length > MAX.certificate) throw damagedAt('a certificate is too large to be one', offset)
  checkLayout(der)
  return readBySshpk('the certificate', ({ parseCertificate }) => {
    const { subjectKey, subjects } = parseCertificate(der, 'x509')
    const name = subjects[0]?.get('cn', true)?.[0] ?? ''
    return { blob: subjectKey.toBuffer('rfc4253'), comment: plainComment(name.slice(0, MAX_NAME)) }
  })
}

/** The outermost elements, so that sshpk sees what is whole (RFC 5280 section 4.1). Throws `damaged`. */
function checkLayout(der: Buffer): void {
  const outer = new DerReader(der)
  const certificate = outer.sequence()
  outer.end()
  const signed = certificate.sequence()
  certificate.sequence()
  certificate.bitString()
  certificate.end()
  if (signed.peek() === VERSION) signed.raw()
  signed.element(tags.integer)
  // Signature's algorithm, issuer, validity, subject, the subject's key.
  for (let i = 0; i < 5; i++) signed.sequence()
  while (signed.left > 0) signed.raw()
}

/** Certificate and what is signed of it are SEQUENCEs; a version or a serial number follows. No other DER file begins so. */
function looksLikeDer(bytes: Buffer): boolean {
  const second = skipSequenceHeader(bytes, 0)
  const third = second === undefined ? undefined : skipSequenceHeader(bytes, second)
  if (third === undefined) return false
  return bytes[third] === VERSION || bytes[third] === tags.integer
}

function skipSequenceHeader(bytes: Buffer, at: number): number | undefined {
  const [tag, length] = [bytes[at], bytes[at + 1]]
  if (tag !== tags.sequence || length === undefined) return undefined
  return at + 2 + (length < 0x80 ? 0 : length - 0x80)
}

/** The blocks of a PEM file; text around them is allowed (RFC 7468 section 2), other blocks are not. */
function readPem(bytes: Buffer): { der: Buffer; offset: number }[] {
  if (bytes.length > MAX.file) throw damagedAt('the file is too large to hold certificates', MAX.file)
  const text = bytes.toString('latin1')
  const blocks: { der: Buffer; offset: number }[] = []
  for (let at = findLine(text, '-----', 0); at >= 0; at = findLine(text, '-----', at)) {
    if (!isLine(text, at, BEGIN)) throw damagedAt(`a line stands where "${BEGIN}" should be`, at)
    const from = at + BEGIN.length
    const to = findLine(text, '-----', from)
    if (to < 0 || !isLine(text, to, END)) {
      throw damagedAt(`the line "${END}" is missing`, to < 0 ? text.length : to)
    }
    blocks.push({ der: decodeBase64(text.slice(from, to), from), offset: from })
    at = to + END.length
  }
  if (blocks.length === 0) throw damagedAt('the file holds no certificate', 0)
  return blocks
}

/** Where the next line that begins so stands, or -1. */
function findLine(text: string, beginning: string, from: number): number {
  if (from === 0 && text.startsWith(beginning)) return 0
  const found = text.indexOf(`\n${beginning}`, from)
  return found < 0 ? -1 : found + 1
}

function isLine(text: string, at: number, line: string): boolean {
  return text.startsWith(line, at) && /^[ \t]*\r?(?:\n|$)/.test(text.slice(at + line.length, at + line.length + 80))
}
