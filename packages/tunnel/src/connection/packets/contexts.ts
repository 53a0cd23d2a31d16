import { KeytoolError } from '@keytool/keygen'
import type { CipherName, Openssl, Pointer } from './openssl.js'

/** Bytes of a tag, AES-GCM's and Poly1305's alike. */
export const TAG = 16

/** EVP_CTRL_AEAD_GET_TAG and EVP_CTRL_AEAD_SET_TAG of openssl/evp.h. */
const GET_TAG = 0x10
const SET_TAG = 0x11

/** Where OpenSSL writes how much it wrote, which is known before, and what is left at the end, which is nothing. */
const written = Buffer.alloc(8)
const rest = Buffer.alloc(32)

/** A cipher with its key, in one direction. Nothing is written anywhere but into the buffers that it is given. */
export class CipherContext {
  readonly #openssl: Openssl
  readonly #direction: 0 | 1
  #context: Pointer

  /** @param key as long as the cipher's is: 16 or 32 bytes */
  constructor(openssl: Openssl, name: CipherName, key: Buffer, encrypts: boolean) {
    this.#openssl = openssl
    this.#direction = encrypts ? 1 : 0
    if (key.length !== (name === 'aes-128-gcm' ? 16 : 32)) must(0)
    this.#context = openssl.newCipher()
    must(openssl.initCipher(this.#live, openssl.ciphers[name], 0, key, null, this.#direction))
  }

  /** @param nonce 12 bytes for AES-GCM; 16 for ChaCha20, the block counter first */
  begin(nonce: Buffer): void {
    must(this.#openssl.initCipher(this.#live, 0, 0, null, nonce, this.#direction))
  }

  /** What goes into AES-GCM's tag, and stays as it is. */
  authenticate(data: Buffer): void {
    must(this.#openssl.updateCipher(this.#live, null, written, data, data.length))
  }

  /** Encrypts or decrypts `data` where it stands: these ciphers give exactly as much as they take. */
  turn(data: Buffer): void {
    must(this.#openssl.updateCipher(this.#live, data, written, data, data.length))
  }

  /** @param tag {@link TAG} bytes, to be written */
  writeTag(tag: Buffer): void {
    if (tag.length !== TAG) must(0)
    must(this.#openssl.finishCipher(this.#live, rest, written))
    must(this.#openssl.controlCipher(this.#live, GET_TAG, TAG, tag))
  }

  /** @returns whether the tag is right; if not, what was decrypted is not to be looked at */
  checkTag(tag: Buffer): boolean {
    if (tag.length !== TAG) must(0)
    must(this.#openssl.controlCipher(this.#live, SET_TAG, TAG, tag))
    return this.#openssl.finishCipher(this.#live, rest, written) === 1
  }

  /** Wipes it and lets it go. May be called again. */
  free(): void {
    if (this.#context) this.#openssl.freeCipher(this.#context)
    this.#context = 0
  }

  /** OpenSSL would not notice one that is gone. */
  get #live(): Pointer {
    return alive(this.#context)
  }
}

/** Poly1305, RFC 8439 section 2.5. */
export class Poly1305 {
  readonly #openssl: Openssl
  #context: Pointer

  constructor(openssl: Openssl) {
    this.#openssl = openssl
    this.#context = alive(openssl.newMac(openssl.poly1305))
  }

  /**
   * @param key 32 bytes, for this message alone
   * @param tag {@link TAG} bytes, to be written
   */
  compute(key: Buffer, message: Buffer, tag: Buffer): void {
    if (key.length !== 32 || tag.length !== TAG) must(0)
    const context = alive(this.#context)
    must(this.#openssl.initMac(context, key, key.length, 0))
    must(this.#openssl.updateMac(context, message, message.length))
    must(this.#openssl.finishMac(context, tag, written, tag.length))
  }

  /** Wipes it and lets it go. May be called again. */
  free(): void {
    if (this.#context) this.#openssl.freeMac(this.#context)
    this.#context = 0
  }
}

function alive(context: Pointer): Pointer {
  if (context) return context
  throw new KeytoolError('failed', 'this cipher is not in use')
}

/** OpenSSL returns 1 for what it has done. */
function must(result: number): void {
  if (result !== 1) throw new KeytoolError('failed', 'OpenSSL does not do what it is asked for')
}
