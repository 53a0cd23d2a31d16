import { type PublicKey, showForeign } from '@keytool/keygen'
import { matchesList } from '../config/ssh-config/match.js'
import type { ServerSetting, ServerSettings } from './server-settings.js'

/** The setting of sshd_config(5) by its name of today and the one before it. */
const TYPES = ['PubkeyAcceptedAlgorithms', 'PubkeyAcceptedKeyTypes'] as const

/**
 * The server's line that shuts keys of this type or size out, whatever stands in its files: a sentence, escaped already.
 * `undefined` where none is seen.
 */
export function findTypeRule(settings: ServerSettings, key: PublicKey): string | undefined {
  for (const keyword of TYPES) {
    const setting = settings.get(keyword.toLowerCase())
    const [list = ''] = setting.values
    if (setting.from && list !== '' && !takes(list, key)) {
      return tell(setting, `takes no ${key.algorithm.label} keys`, keyword)
    }
  }
  const size = settings.get('requiredrsasize')
  const least = Number(size.values[0])
  if (!size.from || key.algorithm.name !== 'ssh-rsa' || !(key.bits < least)) return undefined
  return tell(size, `takes no RSA keys of ${key.bits} bits`, 'RequiredRSASize')
}

/** The server's line that names a list of revoked keys; who is on it can't be seen. Escaped already. */
export function findRevocations(settings: ServerSettings): string | undefined {
  const setting = settings.get('revokedkeys')
  const [file = 'none'] = setting.values
  return file.toLowerCase() === 'none' ? undefined : tell(setting, 'has a list of revoked keys', 'RevokedKeys')
}

/** A list alone is all that is taken; `-` takes from the server's own, `+` and `^` add to it. */
function takes(list: string, { algorithm }: PublicKey): boolean {
  const names = algorithm.schemes.map(({ name }) => name)
  if (/^[+^]/.test(list)) return true
  if (list.startsWith('-')) return !names.every(name => matchesList(list.slice(1), name))
  return names.some(name => matchesList(list, name))
}

function tell({ from, values }: ServerSetting, what: string, keyword: string): string {
  const place = from ? `: ${showForeign(from.path)} line ${from.line}:` : ':'
  return `the server ${what}${place} ${keyword} ${showForeign(values.join(' '), 100)}`
}
