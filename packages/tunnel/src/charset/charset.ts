import { KeytoolError, showForeign } from '@keytool/keygen'
import { findNear } from '../sessions/near.js'
import { type Charset, charsetNames, lookUpCharset } from './names.js'

/**
 * The charset of this name: WHATWG's names, IANA's, those of locales, in any spelling (`EUC-JP`, `eucJP`, `euc_jp`).
 * @throws KeytoolError `usage` with names that may have been meant
 */
export function findCharset(label: string): Charset {
  const charset = lookUpCharset(label)
  if (charset) return charset
  const shown = showForeign(label, 64)
  const near = findNear(shown, charsetNames)
  throw new KeytoolError('usage', `${JSON.stringify(shown)} is no charset known here`, {
    hint:
      near.length > 0 ? `did you mean ${near.join(' or ')}?` : 'such as utf-8, euc-jp, shift_jis, iso-8859-1, koi8-r',
  })
}

/**
 * What a terminal shows, by the locale that programs in it are told (POSIX, 8.2): LC_ALL, LC_CTYPE, LANG, the first
 * that is set. UTF-8 where it does not say, or says something that is not known.
 */
export function terminalCharset(env: Readonly<Record<string, string | undefined>>): Charset {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || ''
  const codeset = /\.([^@]+)/.exec(locale)?.[1]
  return (codeset === undefined ? undefined : lookUpCharset(codeset)) ?? findCharset('utf-8')
}
