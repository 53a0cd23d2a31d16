import { type KdfFacts, type KeyFacts, rateKdf, showForeign } from '@keytool/keygen'
import { count } from './text.js'

/** How a key file is protected, as people read it: `aes256-ctr, bcrypt 24 rounds`. */
export function describeProtection({ encrypted, cipher, kdf }: Pick<KeyFacts, 'encrypted' | 'cipher' | 'kdf'>): string {
  if (!encrypted) return 'not encrypted'
  // An unknown cipher has whatever name the file gives it.
  return [cipher && showForeign(cipher, 64), kdf && describeKdf(kdf)].filter(Boolean).join(', ')
}

function describeKdf({ name, rounds, memory, passes, parallelism }: KdfFacts): string {
  if (rounds !== undefined) return `${name} ${count(rounds, 'round')}`
  if (memory === undefined) return name
  return [
    `${name} ${memory / 1024} MiB`,
    ...(passes === undefined ? [] : [count(passes, 'pass', 'passes')]),
    ...(parallelism === undefined || parallelism === 1 ? [] : [`${parallelism} lanes`]),
  ].join(' ')
}

/** The same, with a word about a KDF that adds little to the passphrase. */
export function describeRated(facts: Pick<KeyFacts, 'encrypted' | 'cipher' | 'kdf'>): string {
  const weak = facts.kdf && rateKdf(facts.kdf) === 'weak'
  return `${describeProtection(facts)}${weak ? ' (weak)' : ''}`
}
