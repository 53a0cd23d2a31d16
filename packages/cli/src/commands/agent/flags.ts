import { KeytoolError } from '@keytool/keygen'
import type { AgentOptions } from './options.js'

/** The hashes that ssh-agent knows. */
const HASHES = ['md5', 'sha1', 'sha256', 'sha384', 'sha512']
/** They loosen what does not exist here: signatures by a device's key, libraries that are loaded. */
const LOOSENING = /^(?:no-restrict-websafe|allow-remote-pkcs11|websafe-allow=.*)$/
/** What belongs to an agent without a program of its own. */
const ALONE = ['s', 'c', 'k', 'D', 'd', 'u'] as const

/**
 * Refuses what ssh-agent refuses: flags that contradict each other, and values that it does not know.
 * @param words the program that is to be run, with its arguments
 * @throws KeytoolError `usage`
 */
export function checkFlags(options: AgentOptions, words: readonly string[]): void {
  const { fingerprint, option = [] } = options
  if (options.s && options.c) throw usage('-s and -c contradict each other')
  if (fingerprint !== undefined && !HASHES.includes(fingerprint.toLowerCase())) {
    throw usage(`-E ${JSON.stringify(fingerprint.slice(0, 40))} is no hash`, `one of ${HASHES.join(', ')}`)
  }
  for (const each of option) {
    if (!LOOSENING.test(each)) throw usage(`-O ${JSON.stringify(each.slice(0, 40))} is no option of ssh-agent`)
  }
  const alone = words.length > 0 ? ALONE.find(name => options[name]) : undefined
  if (alone) throw usage(`-${alone} does not go with a program`)
}

function usage(message: string, hint?: string): KeytoolError {
  return new KeytoolError('usage', message, hint === undefined ? {} : { hint })
}
