import { createHash } from 'node:crypto'
import type { PublicKey } from './key.js'

export type FingerprintHash = 'sha256' | 'md5'

/** A key, or a blob that is known to be a plain key's. */
export type Fingerprinted = Pick<PublicKey, 'blob'> & { readonly plain?: Pick<PublicKey, 'blob'> }

/** PuTTY counts the bits of the curve's field where ssh-keygen counts the encoding's. */
const puttyBits: ReadonlyMap<string, number> = new Map([['ssh-ed25519', 255]])

/**
 * `SHA256:` with unpadded base64, or `MD5:` with colons between the bytes, as ssh-keygen prints them. A certificate has the
 * fingerprint of its key.
 */
export function fingerprint(key: Fingerprinted, hash: FingerprintHash = 'sha256'): string {
  return hash === 'md5' ? `MD5:${hexOf(key)}` : `SHA256:${digestOf(key, hash).toString('base64').replace(/=+$/, '')}`
}

/** The line of `ssh-keygen -l`: bits, fingerprint, comment, type. */
export function fingerprintLine(key: PublicKey, hash: FingerprintHash = 'sha256'): string {
  return lineOf(key, fingerprint(key, hash))
}

/** The line of `ssh-keygen -B`: as that of `-l`, but with {@link bubbleBabble}. */
export function bubbleBabbleLine(key: PublicKey): string {
  return lineOf(key, bubbleBabble(key))
}

/**
 * The line of `puttygen -l`: type, bits, fingerprint; no comment. PuTTY writes MD5 without its name. Of a certificate the
 * type is its own, the rest its key's.
 */
export function puttyFingerprint(key: PublicKey, hash: FingerprintHash = 'sha256'): string {
  const { algorithm } = key
  const bits = puttyBits.get((algorithm.certifies ?? algorithm).name) ?? key.bits
  return `${algorithm.name} ${bits} ${hash === 'md5' ? hexOf(key) : fingerprint(key, hash)}`
}

const VOWELS = 'aeiouy'
const CONSONANTS = 'bcdfghklmnprstvzx'

/** Antti Huima's Bubble Babble of the key's SHA-1, as `ssh-keygen -B` prints it: words that can be read out. */
export function bubbleBabble(key: PublicKey): string {
  const digest = digestOf(key, 'sha1')
  let text = 'x'
  let sum = 1
  const vowel = (index: number) => VOWELS.charAt(index % VOWELS.length)
  const consonant = (index: number) => CONSONANTS.charAt(index)
  // A digest has an even number of bytes: pairs make a word each, and the sum of all the last one.
  for (let at = 0; at < digest.length; at += 2) {
    const [one = 0, two = 0] = digest.subarray(at, at + 2)
    text += vowel((one >> 6) + sum) + consonant((one >> 2) & 15) + vowel((one & 3) + Math.floor(sum / 6))
    text += `${consonant(two >> 4)}-${consonant(two & 15)}`
    sum = (sum * 5 + one * 7 + two) % 36
  }
  return `${text}${vowel(sum)}x${vowel(Math.floor(sum / 6))}x`
}

function lineOf(key: PublicKey, shown: string): string {
  return `${key.bits} ${shown} ${key.comment || 'no comment'} (${key.algorithm.label})`
}

function hexOf(key: Fingerprinted): string {
  return digestOf(key, 'md5')
    .toString('hex')
    .replace(/(..)(?!$)/g, '$1:')
}

function digestOf(key: Fingerprinted, hash: FingerprintHash | 'sha1'): Buffer {
  return createHash(hash)
    .update((key.plain ?? key).blob)
    .digest()
}
