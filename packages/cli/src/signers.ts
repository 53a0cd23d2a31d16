import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { AgentClient } from '@keytool/agent'
import { fingerprint, KeytoolError, type PrivateKey, type PublicKey, type Signer } from '@keytool/keygen'
import type { Context } from './context.js'
import { isThere, openKey, publicHalf, type Unlocking } from './files.js'

/** The names that ssh itself looks for in ~/.ssh, in the order keytool prefers them. */
const defaultNames = ['id_ed25519', 'id_ecdsa', 'id_rsa'] as const

/** Those in files, once each: a tunnel that logs in again does not ask for the passphrase again. */
const known = new WeakMap<Context, Map<string, Signer>>()

/** A key in a file, opened (and its passphrase asked for) when it first signs, and not before. */
export function fileSigner(path: string, publicKey: PublicKey, unlocking: Unlocking, context: Context): Signer {
  const signers = known.get(context) ?? new Map<string, Signer>()
  known.set(context, signers)
  const name = `${path} ${publicKey.blob.toString('base64')}`
  const signer = signers.get(name) ?? makeFileSigner(path, publicKey, unlocking, context)
  signers.set(name, signer)
  return signer
}

function makeFileSigner(path: string, publicKey: PublicKey, unlocking: Unlocking, context: Context): Signer {
  let key: Promise<PrivateKey> | undefined
  return {
    publicKey,
    async sign(data, options) {
      key ??= openMatching(path, publicKey, unlocking, context)
      // What went wrong may go right the next time: the file is mended, the passphrase known.
      key.catch(() => {
        key = undefined
      })
      return (await key).sign(data, options)
    },
  }
}

/**
 * The signer for one key: the agent's where it holds the key, else the file itself.
 * @param path of the private key, or of its public half beside it
 * @param when a key in a file is opened, and its passphrase asked for: `now`, or when it first signs
 * @returns `undefined` when only the public half is here
 */
export async function signerFor(
  path: string,
  publicKey: PublicKey,
  when: 'now' | 'later',
  agent: AgentClient | undefined,
  unlocking: Unlocking,
  context: Context,
): Promise<Signer | undefined> {
  const file = path.replace(/\.pub$/, '')
  const isHere = await isThere(file)
  if (isHere) await checkSame(file, publicKey)
  const held = (await agent?.signers())?.find(signer => !signer.certificate && signer.publicKey.equals(publicKey))
  if (held) return held
  if (!isHere) return undefined
  if (when === 'later') return fileSigner(file, publicKey, unlocking, context)
  return openMatching(file, publicKey, unlocking, context)
}

/** The private key, which must be that of the public one: a `.pub` beside it may have been swapped. */
async function openMatching(
  path: string,
  publicKey: PublicKey,
  unlocking: Unlocking,
  context: Context,
): Promise<PrivateKey> {
  const { key, passphrase } = await openKey(path, unlocking, context)
  passphrase?.fill(0)
  if (!key.publicKey.equals(publicKey)) throw notTheSame(path, key.publicKey, publicKey)
  return key
}

/** The same without opening it, where the file shows its public half. */
async function checkSame(path: string, publicKey: PublicKey): Promise<void> {
  const shown = await publicHalf(path).catch(() => undefined)
  if (shown && !shown.equals(publicKey)) throw notTheSame(path, shown, publicKey)
}

function notTheSame(path: string, one: PublicKey, other: PublicKey): KeytoolError {
  return new KeytoolError('damaged', `${path} and ${path}.pub are not the same key`, {
    reason: `one is ${fingerprint(one)}, the other ${fingerprint(other)}`,
    hint: 'find out which one is right before it goes anywhere',
  })
}

/** All that may be offered where nobody chose a key: the agent's, then the default files it does not hold. */
export async function allSigners(
  agent: AgentClient | undefined,
  unlocking: Unlocking,
  context: Context,
): Promise<Signer[]> {
  const signers = (await agent?.signers()) ?? []
  for (const path of await defaultKeyFiles(context)) {
    const publicKey = await publicHalf(path).catch(() => undefined)
    if (!publicKey || signers.some(signer => signer.publicKey.equals(publicKey))) continue
    signers.push(fileSigner(path, publicKey, unlocking, context))
  }
  return signers
}

/** The private keys in ~/.ssh that have a default name, PuTTY's among them. */
export async function defaultKeyFiles({ places }: Context): Promise<string[]> {
  const found: string[] = []
  for (const name of defaultNames.flatMap(each => [each, `${each}.ppk`])) {
    const path = join(places.ssh, name)
    // A pipe there would keep everybody waiting.
    if ((await stat(path).catch(() => undefined))?.isFile()) found.push(path)
  }
  return found
}
