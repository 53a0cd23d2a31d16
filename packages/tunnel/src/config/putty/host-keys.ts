import { isKeytoolError, isPlain, KeytoolError, PublicKey, Writer } from '@keytool/keygen'
import { checkHost, checkPort } from '../../sessions/target.js'
import type { SavedHostKey } from './settings.js'

/** A host's key, as OpenSSH writes it. */
export interface CarriedHostKey {
  /** IPv6 without brackets. */
  readonly host: string
  readonly port: number
  readonly key: PublicKey
}

/** The numbers of 16,384 bits, RSA's largest here, and a prefix. */
const MAX_DIGITS = 4096 + 2

/** Makes a public key blob of the numbers, or throws `damaged`. */
type ToBlob = (numbers: readonly bigint[]) => Buffer

interface Kind {
  readonly numbers: number
  /** Stands before the numbers. */
  readonly curve?: string
  readonly toBlob: ToBlob
  /** Whether it is proved a key; for DSA that takes milliseconds each, and it is compared and no more. */
  readonly check?: 'later'
}

/** One row a kind of PuTTY's. `ssh-ed448` is not here: no OpenSSH has such host keys. */
const kinds: Readonly<Record<string, Kind>> = {
  rsa2: { numbers: 2, toBlob: numbers => writeNumbers('ssh-rsa', numbers) },
  dss: { numbers: 4, toBlob: numbers => writeNumbers('ssh-dss', numbers), check: 'later' },
  'ssh-ed25519': { numbers: 2, toBlob: writeEd25519 },
  'ecdsa-sha2-nistp256': { numbers: 2, curve: 'nistp256', toBlob: writePoint('nistp256', 32) },
  'ecdsa-sha2-nistp384': { numbers: 2, curve: 'nistp384', toBlob: writePoint('nistp384', 48) },
  'ecdsa-sha2-nistp521': { numbers: 2, curve: 'nistp521', toBlob: writePoint('nistp521', 66) },
}

/** Kinds there is no OpenSSH line for: `rsa` is SSH-1's. */
const passedOver: ReadonlySet<string> = new Set(['rsa', 'ssh-ed448'])

/**
 * Reads a host key as PuTTY keeps it: `ssh-ed25519@22:host`, its numbers in hexadecimal. `undefined` for kinds that
 * OpenSSH has no host keys of.
 * @throws KeytoolError `damaged` for what is none, or no key: a point beside its curve; `usage` for a hostile host
 */
export function readHostKey({ name, value }: SavedHostKey): CarriedHostKey | undefined {
  const [, kind = '', port = '', place = ''] = /^([\w-]{1,64})@(\d{1,5}):(.{1,300})$/s.exec(name) ?? []
  if (passedOver.has(kind)) return undefined
  const row = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined
  if (!row || !isPlain(place)) throw new KeytoolError('damaged', 'that is no name of a host key')
  const host = checkHost(place.replace(/^\[(.*)\]$/, '$1'))
  const parts = value.split(',', 5)
  const curve = row.curve === undefined ? undefined : parts.shift()
  if (curve !== row.curve || parts.length !== row.numbers) throw damaged(kind)
  try {
    return {
      host,
      port: checkPort(Number(port)),
      key: PublicKey.fromBlob(row.toBlob(parts.map(readNumber)), '', row.check),
    }
  } catch (error) {
    if (!isKeytoolError(error) || error.code === 'usage') throw error
    throw damaged(kind, error)
  }
}

function readNumber(text: string): bigint {
  if (text.length <= MAX_DIGITS && /^0x[\dA-Fa-f]+$/.test(text)) return BigInt(text)
  throw new KeytoolError('damaged', 'that is no number')
}

function writeNumbers(type: string, numbers: readonly bigint[]): Buffer {
  const writer = new Writer().text(type)
  for (const number of numbers) writer.mpint(bytesOf(number, Math.ceil(number.toString(16).length / 2)))
  return writer.done()
}

/** An uncompressed point, SEC 1 section 2.3.3. */
function writePoint(curve: string, size: number): ToBlob {
  return ([x = 0n, y = 0n]) => {
    const point = Buffer.concat([Buffer.of(4), bytesOf(x, size), bytesOf(y, size)])
    return new Writer().text(`ecdsa-sha2-${curve}`).text(curve).string(point).done()
  }
}

const P = 2n ** 255n - 19n
/** The curve's d, RFC 8032 section 5.1. */
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n

/** RFC 8032 section 5.1.2: y in little-endian order, the lowest bit of x in the last byte's highest. */
function writeEd25519([x = 0n, y = 0n]: readonly bigint[]): Buffer {
  // Both are below 2^255 before anything is multiplied.
  const isOn = x < P && y < P && (y * y - x * x - 1n - ((D * x * x) % P) * y * y) % P === 0n
  if (!isOn) throw new KeytoolError('damaged', 'the point is not on its curve')
  const encoded = bytesOf(y | ((x & 1n) << 255n), 32).reverse()
  return new Writer().text('ssh-ed25519').string(encoded).done()
}

/** Big-endian, in so many bytes. */
function bytesOf(number: bigint, size: number): Buffer {
  const hex = number.toString(16)
  if (hex.length > 2 * size) throw new KeytoolError('damaged', 'a number is too large for its kind of key')
  return Buffer.from(hex.padStart(2 * size, '0'), 'hex')
}

function damaged(kind: string, cause?: unknown): KeytoolError {
  return new KeytoolError('damaged', `that is no key of the kind ${kind}`, { cause })
}
