import { isKeytoolError } from '../../packages/keygen/src/error.js'
import type { KeyFacts, KeyFormat, PublicFormat } from '../../packages/keygen/src/formats/format.js'
import { optionsLike } from '../../packages/keygen/src/formats/like.js'
import { openssh } from '../../packages/keygen/src/formats/openssh.js'
import { keyFormats, publicFormats, readPrivateKey } from '../../packages/keygen/src/formats/registry.js'
import type { PrivateKey } from '../../packages/keygen/src/key.js'
import { doAFew } from './a-few.js'
import { type OurFile, type Ours, writePublic } from './ours.js'
import type { FormatPeer, Saving } from './peer.js'
import { differingParts, isRandomlyPadded, maskRandom } from './same.js'
import { isRefusal, type Outcome, secrets, type Trial } from './trial.js'

/** Gives the peer every file of ours, has it write every file it can, and tells what came of it. */
export async function explore(peer: FormatPeer, ours: Ours): Promise<Trial[]> {
  const inTheClear = ours.files.filter(({ secret }) => secret === 'none')
  const first = await doAFew(inTheClear.map(file => () => giveFile(peer, ours, file)))
  // What it does not know in the clear, it is not asked to decrypt.
  const known = new Set(first.filter(({ outcome }) => outcome.is === 'done').map(nameOf))
  const encrypted = ours.files.filter(file => file.secret !== 'none' && known.has(nameOf(file)))
  const types = [...ours.keys].filter(([type]) => known.has(nameOf({ kind: 'private', type, format: openssh.name })))
  return [
    ...first,
    ...(await doAFew(encrypted.map(file => () => giveFile(peer, ours, file)))),
    ...(await doAFew(types.flatMap(([, key]) => peer.savings.map(saving => () => takeFile(peer, key, saving))))),
  ]
}

function nameOf({ kind, type, format }: Pick<Trial, 'kind' | 'type' | 'format'>): string {
  return `${kind} ${type} ${format}`
}

async function giveFile(peer: FormatPeer, { keys }: Ours, { bytes, ...file }: OurFile): Promise<Trial> {
  const key = keys.get(file.type)
  if (!key) throw new Error(`no key of type ${file.type}`)
  const judge = file.kind === 'private' ? openWhole : openHalf
  return { ...file, peer: 'reads', outcome: await judge(peer, key, { bytes, ...file }) }
}

async function openWhole(peer: FormatPeer, key: PrivateKey, { bytes, secret }: OurFile): Promise<Outcome> {
  const opened = await peer.open(bytes, secret)
  if (isRefusal(opened)) return { is: 'refused', why: opened.refused }
  if (!opened.line.equals(key.publicKey)) return { is: 'wrong', why: 'it prints another public key' }
  const differing = differingParts(await readPrivateKey(opened.rewritten), key)
  if (differing.length > 0) return { is: 'wrong', why: `it took another key from it: ${differing.join(', ')}` }
  return { is: 'done', commentKept: opened.line.comment === key.comment }
}

async function openHalf(peer: FormatPeer, { publicKey }: PrivateKey, { bytes }: OurFile): Promise<Outcome> {
  const opened = await peer.openPublic(bytes)
  if (isRefusal(opened)) return { is: 'refused', why: opened.refused }
  if (!opened.equals(publicKey)) return { is: 'wrong', why: 'it takes it for another public key' }
  return { is: 'done', commentKept: opened.comment === publicKey.comment }
}

/** Reads what the peer writes. What it refuses to write has no format. */
async function takeFile(peer: FormatPeer, key: PrivateKey, saving: Saving): Promise<Trial> {
  const { kind, args, secret } = saving
  const common = { kind, peer: 'writes', type: key.algorithm.type, secret, format: '?' } as const
  const bytes = await peer.save(await openssh.write(key), saving)
  if (isRefusal(bytes)) return { ...common, outcome: { is: 'refused', why: `${args.join(' ')}: ${bytes.refused}` } }
  const formats: readonly (KeyFormat | PublicFormat)[] = kind === 'private' ? keyFormats : publicFormats
  const format = formats.find(row => row.detect(bytes))
  if (!format) return { ...common, outcome: { is: 'wrong', why: `${args.join(' ')}: no format claims what it writes` } }
  const { name } = format
  if (!('inspect' in format)) return { ...common, format: name, outcome: await readHalf(format, key, bytes) }
  const facts = await format.inspect(bytes)
  const outcome = await readWhole(format, key, bytes, { facts, ...saving })
  return { ...common, format: name, cipher: facts.cipher, kdf: facts.kdf?.name, outcome }
}

async function readWhole(
  format: KeyFormat,
  key: PrivateKey,
  bytes: Buffer,
  { secret, args, facts }: Saving & { facts: KeyFacts },
): Promise<Outcome> {
  const words = secrets[secret]
  const options = words === undefined ? {} : { passphrase: Buffer.from(words) }
  const back = await format.read(bytes, options).catch(refusalOf)
  if (isRefusal(back)) return unread(back.refused, format.holds(key.algorithm))
  if (facts.encrypted !== (words !== undefined)) {
    return { is: 'wrong', why: `with the passphrase ${secret}, ${args.join(' ')} is not what was asked for` }
  }
  const differing = differingParts(back, key)
  if (differing.length > 0) return { is: 'wrong', why: `another key is read: ${differing.join(', ')}` }
  const again = async () =>
    format.write && maskRandom(format, await format.write(back, { ...options, ...optionsLike(facts, format) }))
  const [one, two] = [await again(), await again()]
  // Only what comes out the same each time can be compared with the peer's.
  const isSettled = one !== undefined && one === two && !isRandomlyPadded(format, facts.encrypted)
  const identical = isSettled ? one === maskRandom(format, bytes) : undefined
  return { is: 'done', commentKept: back.comment === key.comment, identical }
}

async function readHalf(format: PublicFormat, { publicKey }: PrivateKey, bytes: Buffer): Promise<Outcome> {
  const keys = await format.read(bytes).catch(refusalOf)
  if (isRefusal(keys)) {
    const alike = writePublic(format, publicKey)?.equals(bytes)
    return alike ? { is: 'alike' } : unread(keys.refused, alike !== undefined)
  }
  const [back, ...more] = keys
  if (!back?.equals(publicKey) || more.length > 0) return { is: 'wrong', why: 'another public key is read' }
  const identical = writePublic(format, back)?.equals(bytes)
  return { is: 'done', commentKept: back.comment === publicKey.comment, identical }
}

/** A format that has the type must read it. */
function unread(why: string, holds: boolean): Outcome {
  return { is: holds ? 'wrong' : 'refused', why }
}

function refusalOf(error: unknown): { refused: string } {
  if (isKeytoolError(error)) return { refused: `${error.code}: ${error.message}` }
  throw error
}
