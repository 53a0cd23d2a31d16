import { algorithms } from '../src/algorithms/table.js'
import { isKeytoolError } from '../src/error.js'
import type { WritableFormat, WriteOptions } from '../src/formats/format.js'
import { openssh } from '../src/formats/openssh.js'
import { keyFormats, readPrivateKey, writable } from '../src/formats/registry.js'
import { sshcom } from '../src/formats/sshcom/sshcom.js'
import { inspectKeys } from '../src/inspect.js'
import type { PrivateKey } from '../src/key.js'
import type { Limits } from '../src/protect/caps.js'
import { cipherNamed } from '../src/protect/ciphers.js'
import { allTypes, sampleKey } from './sample-keys.js'

export const passphrase: Buffer = Buffer.from('pässwörd 密')
/** Costs next to nothing: what is tested with it is a format, not its price. */
export const cheap: WriteOptions = { rounds: 1, argon2: { memory: 64, passes: 1 } }
/** What an altered file may make its reader pay: little more than {@link cheap}, and scrypt as it is always written. */
export const limits: Limits = {
  argon2Memory: 128,
  argon2Work: 1024,
  bcryptRounds: 4,
  pbkdf2Iterations: 64,
  oldKdfIterations: 64,
  scryptMemory: 20_000,
  scryptWork: 100_000,
}
/** What altered bytes may be refused with. Never `secret-needed`: what was encrypted does not look for another secret. */
export const refusals: ReadonlySet<string> = new Set(['damaged', 'secret-wrong', 'unsupported'])

/** Every format that is written, with the types it holds. */
export const heldTypes: readonly (readonly [format: WritableFormat, types: readonly string[]])[] = keyFormats
  .filter(({ write }) => write)
  .map(writable)
  .map(format => [format, algorithms.filter(row => format.holds(row)).map(({ type }) => type)])

/** Every such pair, the format's name and the type first: rows of a table of tests. */
export const pairs: readonly (readonly [name: string, type: string, format: WritableFormat])[] = heldTypes.flatMap(
  ([format, types]) => types.map(type => [format.name, type, format] as const),
)

/** A key in a file. */
export interface Sample {
  readonly format: WritableFormat
  /** Absent where it is not encrypted. */
  readonly cipher?: string | undefined
  readonly key: PrivateKey
  readonly bytes: Buffer
}

/** One key of each type, by the type. */
export async function sampleKeys(comment: string): Promise<(type: string) => PrivateKey> {
  const keys = new Map<string, PrivateKey>()
  for (const type of allTypes) keys.set(type, await sampleKey(type, comment))
  return type => {
    const key = keys.get(type)
    if (!key) throw new Error(`no key of type ${type}`)
    return key
  }
}

/** The file of a key, with {@link passphrase} where a cipher is named. */
export async function sampleFile(
  format: WritableFormat,
  key: PrivateKey,
  cipher?: string,
  more: WriteOptions = cheap,
): Promise<Sample> {
  const bytes = await format.write(key, cipher === undefined ? {} : { ...more, passphrase, cipher })
  return { format, cipher, key: format.keepsComment ? key : key.withComment(''), bytes }
}

/** The same file as Windows would save it. */
export function withCrLf(sample: Sample): Sample {
  return { ...sample, bytes: Buffer.from(sample.bytes.toString('latin1').replaceAll('\n', '\r\n'), 'latin1') }
}

/** The bytes with one bit turned. */
export function flipBit(bytes: Buffer, bit: number): Buffer {
  const flipped = Buffer.from(bytes)
  flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  return flipped
}

/**
 * What was not as it should be when one bit of a file was turned; `undefined` when all was. Of an encrypted file: it is
 * refused, whatever the bit. Of another: it is refused or read, but nothing breaks.
 */
export async function judgeFlip(sample: Sample, bit: number): Promise<string | undefined> {
  const wrong = await judge(sample, flipBit(sample.bytes, bit))
  if (wrong === undefined) return undefined
  const byte = sample.bytes.toString('latin1', bit >> 3, (bit >> 3) + 1)
  return `bit ${bit & 7} of byte ${bit >> 3}, ${JSON.stringify(byte)}, in ${nameOf(sample)}: ${wrong}`
}

/** The same when a piece of the file is another. */
export async function judgePatch(sample: Sample, at: number, piece: Uint8Array): Promise<string | undefined> {
  const patched = Buffer.from(sample.bytes)
  patched.set(piece.subarray(0, patched.length - at), at)
  if (patched.equals(sample.bytes)) return undefined
  const wrong = await judge(sample, patched)
  if (wrong === undefined) return undefined
  return `${JSON.stringify(Buffer.from(piece).toString('latin1'))} at ${at}, in ${nameOf(sample)}: ${wrong}`
}

/** The same of the file's first `length` bytes: refused, unless nothing but the last line end is missing. */
export async function judgeCut(sample: Sample, length: number): Promise<string | undefined> {
  const { key, bytes } = sample
  const { back, fault } = await readAltered(bytes.subarray(0, length))
  const isWhole = length >= bytes.toString('latin1').trimEnd().length
  const isRead = back !== undefined && changedParts(key, back).length === 0 && back.comment === key.comment
  const wrong = isWhole === isRead ? fault : `${isWhole ? 'not ' : ''}read`
  return wrong === undefined ? undefined : `${nameOf(sample)}, cut at ${length} of ${bytes.length}: ${wrong}`
}

async function judge(sample: Sample, bytes: Buffer): Promise<string | undefined> {
  const { back, fault } = await readAltered(bytes)
  return back && sample.cipher !== undefined ? describeDifference(sample, back) : fault
}

/** The key, if there is one, and the `fault` that is no proper refusal. */
async function readAltered(bytes: Buffer): Promise<{ back?: PrivateKey; fault?: string | undefined }> {
  const fault = await inspectKeys(bytes).then(() => undefined, findFault)
  if (fault !== undefined) return { fault: `inspected: ${fault}` }
  return readPrivateKey(bytes, { passphrase, limits }).then(
    back => ({ back }),
    error => ({ fault: findFault(error) }),
  )
}

function findFault(error: unknown): string | undefined {
  return isKeytoolError(error) && refusals.has(error.code) ? undefined : String(error)
}

/** What a reader that has no MAC to go by can't see, and no more than that, may be another than it was. */
function describeDifference(sample: Sample, back: PrivateKey): string | undefined {
  const { key } = sample
  const others = changedParts(key, back)
  if (others.length === 0 && back.comment === key.comment) return 'read as if nothing had happened'
  const proved = others.filter(name => !opaqueParts(key).includes(name))
  if (proved.length > 0 || !back.publicKey.equals(key.publicKey)) return `another key: ${others.join(', ')} changed`
  return isUnproved(sample) ? undefined : `read with another ${others.join(', ') || 'comment'}`
}

/**
 * Ciphers without a MAC in formats that have none either. A comment is beyond any proof there. PKCS#8 is none of them: it
 * has a digest of key and comment in it.
 */
function isUnproved({ format, cipher }: Sample): boolean {
  if (format === sshcom) return true
  return format === openssh && cipher !== undefined && cipherNamed(cipher).tag === 0
}

/**
 * What a file holds of a key in a token (`ed25519-sk`, `ecdsa-sk`): flags, handle, reserved. The handle is opaque to all but
 * the token, so that nothing can prove that it belongs to the public key.
 */
function opaqueParts({ algorithm, parts, publicKey }: PrivateKey): string[] {
  return algorithm.signer ? [] : Object.keys(parts).filter(name => !(name in publicKey.parts))
}

function changedParts({ parts }: PrivateKey, back: PrivateKey): string[] {
  return Object.entries(parts).flatMap(([name, part]) => (back.parts[name]?.equals(part) ? [] : [name]))
}

function nameOf({ format, cipher = 'in the clear', key }: Sample): string {
  return `${format.name}, ${key.algorithm.type}, ${cipher}`
}
