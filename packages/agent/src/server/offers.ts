import { KeytoolError, PrivateKey, readPrivateKey, Writer } from '@keytool/keygen'
import type { Agent, Offer } from '../agent.js'
import type { SealedFile } from '../protocol/extensions.js'
import type { KeyParts } from '../protocol/fields.js'
import { SealedKey } from '../sealed.js'
import type { Terms } from '../terms.js'

// Keys as they arrive in messages, handed to an agent.

export async function takeKey(agent: Agent, key: KeyParts, comment: string, terms: Terms): Promise<void> {
  const offer = makeOffer(key, comment, terms)
  if (agent.offer) await agent.offer(offer)
  else await agent.add(await offer.open(), { terms, ...(key.certificate && { certificate: key.certificate }) })
}

/** An encrypted file of our own client, with the open key or without. */
export async function takeSealed(agent: Agent, { file, comment, constraints: terms, key }: SealedFile): Promise<void> {
  const sealed = await SealedKey.read(file, { comment })
  const half = key && makeOffer(key, comment, terms)
  const identity = { blob: half?.identity.blob ?? sealed.publicKey.blob, comment: comment || sealed.publicKey.comment }
  if (key && !plainBlobOf(key).equals(sealed.publicKey.blob)) {
    throw new KeytoolError('damaged', 'the open key and the encrypted file are two')
  }
  await agent.addSealed?.({ identity, terms, sealed, ...(half && { open: half.open }) })
}

/** A PPK file as PuTTY adds it: encrypted, or open, as it lies there. */
export async function takePpk(agent: Agent, file: Buffer): Promise<void> {
  const sealed = await SealedKey.read(file).catch(error => {
    if ((error as KeytoolError).code === 'unsupported') return undefined
    throw error
  })
  if (sealed) return agent.addSealed?.({ identity: sealed.identity, terms: {}, sealed })
  await agent.add(await readPrivateKey(file, { proof: 'quick' }))
}

/** The blob is put together and no more: to look whether it can be a key takes milliseconds for some types. */
function makeOffer(key: KeyParts, comment: string, terms: Terms): Offer {
  return {
    identity: { blob: key.certificate?.blob ?? plainBlobOf(key), comment },
    terms,
    slow: key.algorithm.slow === true,
    open: () => openKey(key, comment),
  }
}

function plainBlobOf({ algorithm, parts }: KeyParts): Buffer {
  const writer = new Writer().text(algorithm.name)
  algorithm.publicFields.write(writer, parts)
  return writer.done()
}

/** The parts are views of the message, which is cleared afterwards; the key gets its own. */
async function openKey({ algorithm, parts }: KeyParts, comment: string): Promise<PrivateKey> {
  const own = Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, Buffer.from(part)]))
  try {
    const key = await PrivateKey.fromParts(algorithm, own, comment, 'quick')
    if (!algorithm.signer) {
      throw new KeytoolError(
        'unsupported',
        `${algorithm.type} keys need their device, which this agent does not speak to`,
      )
    }
    // What the quick look leaves open shows in what it signs: RSA with factors that are no primes signs nonsense.
    if (!(await key.publicKey.verify(PROBE, await key.sign(PROBE)))) {
      throw new KeytoolError('damaged', 'what the key signs does not verify')
    }
    return key
  } catch (error) {
    for (const part of Object.values(own)) part.fill(0)
    throw error
  }
}

/** Is no request that anybody would want signed. */
const PROBE = Buffer.from('keytool: a probe')
