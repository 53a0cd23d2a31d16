import type { KdfFacts, KeyFacts } from '@keytool/keygen'
import { count } from './text.js'

/** How a key file is protected, as people read it: `aes256-ctr, bcrypt 24 rounds`. */
export function describeProtection({ encrypted, cipher, kdf }: Pick<KeyFacts, 'encrypted' | 'cipher' | 'kdf'>): string {
  if (!encrypted) return 'not encrypted'
  return [cipher, kdf && describeKdf(kdf)].filter(Boolean).join(', ')
}

function describeKdf({ name, rounds, memory, passes, parallelism }: KdfFacts): string {
  if (rounds !== undefined) return `${name} ${count(rounds, 'round')}`
  if (memory === undefined) return name
  return `${name} ${memory / 1024} MiB ${count(passes ?? 0, 'pass', 'passes')}${parallelism === 1 ? '' : ` ${parallelism} lanes`}`
}
