import type { Environment } from '@keytool/agent/platform'
import type { HostSettings } from '@keytool/tunnel'

/** What Debian's ssh offers everywhere: the language, and how dates and numbers are written. */
const locale = ['LANG', 'LC_*']

/**
 * Variables to offer to the server: the locale, and what ssh_config's SendEnv and SetEnv say.
 * @param isTurned whether the far side's charset is another: then what its locale is called is its own affair
 */
export function environmentFor(
  { sendEnv, setEnv }: Pick<HostSettings, 'sendEnv' | 'setEnv'>,
  isTurned: boolean,
  env: Environment,
): Record<string, string> {
  const patterns = [...locale, ...sendEnv].map(toPattern)
  const own = locale.map(toPattern)
  const sent = Object.entries(env).filter(([name, value]) => {
    if (value === undefined || !patterns.some(pattern => pattern.test(name))) return false
    return !isTurned || !own.some(pattern => pattern.test(name))
  })
  return { ...Object.fromEntries(sent.map(([name, value = '']) => [name, value])), ...setEnv }
}

/** SendEnv's wildcards: `*` for any characters, `?` for one. */
function toPattern(text: string): RegExp {
  const escaped = text.replace(/[.+^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`)
}
