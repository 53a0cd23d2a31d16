import { type Keychain, SealedKey } from '@keytool/agent'
import { detectPrivate, fingerprint, isKeytoolError, type PrivateKey } from '@keytool/keygen'
import type { Context } from '../../context.js'
import { openKey, type Unlocking, withFile } from '../../files.js'
import { explain } from '../../keychain.js'
import { type Found, openStored } from '../../remembered.js'

/** A key that was opened here: key and passphrase are the caller's to wipe. */
export interface OpenedHere {
  readonly key: PrivateKey
  /** Absent where the file is not encrypted. */
  readonly passphrase?: Buffer
  /** Whether the keychain has another passphrase for it, which does not fit any more. */
  readonly isStale: boolean
}

/**
 * An encrypted file as it is held sealed; `undefined` for one that is not encrypted.
 * @param which `shown`: for one that hides its public half, too; else that is an error
 */
export async function readSealed(path: string, which: 'every' | 'shown' = 'every'): Promise<SealedKey | undefined> {
  return withFile(path, async bytes => {
    const { encrypted, public: shown } = await detectPrivate(bytes).inspect(bytes)
    return encrypted && (shown || which === 'every') ? SealedKey.read(bytes) : undefined
  })
}

/**
 * Opens a key file, with what the keychain has for it where that fits; else with the passphrase from where it is taken
 * otherwise. What is stale is tried once. A passphrase file goes before the keychain.
 * @param keychain only for keys that it is to have, or to get, the passphrase of
 */
export async function openHere(
  path: string,
  sealed: SealedKey | undefined,
  keychain: Keychain | undefined,
  flags: Unlocking & { readonly remember?: boolean },
  context: Context,
): Promise<OpenedHere> {
  if (sealed && keychain && flags.passphraseFile !== undefined) {
    const opened = await openKey(path, flags, context)
    return { ...opened, isStale: await isStale(opened.passphrase, sealed, keychain) }
  }
  const found = sealed && keychain ? await openStored(sealed, keychain) : undefined
  if (found?.state === 'opened') return { ...found, isStale: false }
  if (found && !(flags.remember && found.state === 'missing')) tell(path, found, context)
  try {
    return { ...(await openKey(path, flags, context)), isStale: found?.state === 'stale' }
  } catch (error) {
    // Nobody can be asked, but the keychain could be unlocked.
    const isLocked = found?.state === 'unavailable' && found.error.code === 'refused'
    if (isLocked && isKeytoolError(error) && error.code === 'secret-needed') throw found.error
    throw error
  }
}

/** Whether the keychain has another passphrase than the one that has opened the file. One that can't be asked has none. */
async function isStale(passphrase: Buffer | undefined, sealed: SealedKey, keychain: Keychain): Promise<boolean> {
  const stored = await keychain.find(fingerprint(sealed.publicKey)).catch(() => undefined)
  const differs = stored !== undefined && passphrase?.equals(stored) === false
  stored?.fill(0)
  return differs
}

function tell(path: string, found: Exclude<Found, { readonly state: 'opened' }>, { say, name }: Context): void {
  const word = say.path(path)
  const texts = {
    stale: () => `the keychain's passphrase for ${word} is stale: the file's was changed`,
    missing: () =>
      `the keychain has no passphrase for ${word} any more: ${name} add --remember ${say.word(path)} stores it again`,
  }
  say.note(found.state === 'unavailable' ? `the keychain is left out: ${explain(found.error)}` : texts[found.state]())
}
