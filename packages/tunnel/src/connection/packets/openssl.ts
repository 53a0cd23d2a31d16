import { type NativeFunction, openLibrary } from '@keytool/agent/platform'
import { doesAsNodeDoes } from './self-test.js'

/** A thing of OpenSSL's own, or 0 for none. */
export type Pointer = number

/** What is used of OpenSSL, as its manual has it: EVP_EncryptInit(3), EVP_MAC(3). */
const declarations = {
  newCipher: 'uintptr_t EVP_CIPHER_CTX_new()',
  freeCipher: 'void EVP_CIPHER_CTX_free(uintptr_t)',
  initCipher: 'int EVP_CipherInit_ex(uintptr_t, uintptr_t, uintptr_t, void *, void *, int)',
  updateCipher: 'int EVP_CipherUpdate(uintptr_t, void *, void *, void *, int)',
  finishCipher: 'int EVP_CipherFinal_ex(uintptr_t, void *, void *)',
  controlCipher: 'int EVP_CIPHER_CTX_ctrl(uintptr_t, int, int, void *)',
  newMac: 'uintptr_t EVP_MAC_CTX_new(uintptr_t)',
  freeMac: 'void EVP_MAC_CTX_free(uintptr_t)',
  initMac: 'int EVP_MAC_init(uintptr_t, void *, size_t, uintptr_t)',
  updateMac: 'int EVP_MAC_update(uintptr_t, void *, size_t)',
  finishMac: 'int EVP_MAC_final(uintptr_t, void *, void *, size_t)',
} as const

const ciphers = {
  'aes-128-gcm': 'uintptr_t EVP_aes_128_gcm()',
  'aes-256-gcm': 'uintptr_t EVP_aes_256_gcm()',
  chacha20: 'uintptr_t EVP_chacha20()',
} as const

export type CipherName = keyof typeof ciphers

/** OpenSSL's functions, each of which is told how many bytes it may touch, and its algorithms. */
export interface Openssl extends Readonly<Record<keyof typeof declarations, NativeFunction>> {
  readonly ciphers: Readonly<Record<CipherName, Pointer>>
  readonly poly1305: Pointer
}

let loading: Promise<Openssl | undefined> | undefined
let loaded: Openssl | undefined

/** What {@link loadOpenssl} found. */
export function opensslIfLoaded(): Openssl | undefined {
  return loaded
}

/**
 * The OpenSSL that node itself runs on; node exports it, for its add-ons. It works in place, which node:crypto does not: that
 * takes fresh memory for each packet, and so twice as long. Takes some 15 ms, once.
 * @returns `undefined` where it can't be reached: the engine's own ciphers then do the work
 */
export async function loadOpenssl(): Promise<Openssl | undefined> {
  loading ??= bindOpenssl(openLibrary)
  loaded = await loading
  return loaded
}

/** @returns `undefined` as well where it does not do what node:crypto does */
export async function bindOpenssl(open: typeof openLibrary): Promise<Openssl | undefined> {
  try {
    const { bind } = await open()
    const bindAll = <Name extends string>(table: Readonly<Record<Name, string>>) =>
      Object.fromEntries(
        Object.entries<string>(table).map(([name, declaration]) => [name, bind(declaration)]),
      ) as Record<Name, NativeFunction>
    const functions = bindAll(declarations)
    const find = bindAll(ciphers)
    const fetchMac = bind('uintptr_t EVP_MAC_fetch(uintptr_t, void *, void *)')
    const openssl: Openssl = {
      ...functions,
      ciphers: {
        'aes-128-gcm': find['aes-128-gcm'](),
        'aes-256-gcm': find['aes-256-gcm'](),
        chacha20: find.chacha20(),
      },
      poly1305: fetchMac(0, Buffer.from('POLY1305\0'), null),
    }
    return doesAsNodeDoes(openssl) ? openssl : undefined
  } catch {
    return undefined
  }
}
