import { lookUpCharset } from '../../charset/names.js'

/** Character sets of PuTTY that have another name here: as PuTTY writes it, and as we do. PuTTY's first one is written. */
const names: readonly (readonly [putty: string, charset: string])[] = [
  ['UTF-8', 'utf-8'],
  ['ISO-8859-1:1998 (Latin-1, West Europe)', 'iso-8859-1'],
  ['ISO-8859-2:1999 (Latin-2, East Europe)', 'iso-8859-2'],
  ['ISO-8859-3:1999 (Latin-3, South Europe)', 'iso-8859-3'],
  ['ISO-8859-4:1998 (Latin-4, North Europe)', 'iso-8859-4'],
  ['ISO-8859-5:1999 (Latin/Cyrillic)', 'iso-8859-5'],
  ['ISO-8859-6:1999 (Latin/Arabic)', 'iso-8859-6'],
  ['ISO-8859-7:1987 (Latin/Greek)', 'iso-8859-7'],
  ['ISO-8859-8:1999 (Latin/Hebrew)', 'iso-8859-8'],
  ['ISO-8859-9:1999 (Latin-5, Turkish)', 'iso-8859-9'],
  ['ISO-8859-10:1998 (Latin-6, Nordic)', 'iso-8859-10'],
  ['ISO-8859-11:2001 (Latin/Thai)', 'iso-8859-11'],
  ['ISO-8859-13:1998 (Latin-7, Baltic)', 'iso-8859-13'],
  ['ISO-8859-14:1998 (Latin-8, Celtic)', 'iso-8859-14'],
  ['ISO-8859-15:1999 (Latin-9, "euro")', 'iso-8859-15'],
  ['ISO-8859-16:2001 (Latin-10, Balkan)', 'iso-8859-16'],
  ['KOI8-U', 'koi8-u'],
  ['KOI8-R', 'koi8-r'],
  ['HP-ROMAN8', 'hp-roman8'],
  ['Win1250 (Central European)', 'windows-1250'],
  ['Win1251 (Cyrillic)', 'windows-1251'],
  ['Win1252 (Western)', 'windows-1252'],
  ['Win1253 (Greek)', 'windows-1253'],
  ['Win1254 (Turkish)', 'windows-1254'],
  ['Win1255 (Hebrew)', 'windows-1255'],
  ['Win1256 (Arabic)', 'windows-1256'],
  ['Win1257 (Baltic)', 'windows-1257'],
  ['Win1258 (Vietnamese)', 'windows-1258'],
  ['CP437', 'cp437'],
  ['CP850', 'cp850'],
  ['CP852', 'cp852'],
  ['CP866', 'cp866'],
  ['CP819', 'iso-8859-1'],
  ['CP878', 'koi8-r'],
]

/** Numbers of Windows' code pages that are no charset's name here, neither with `cp` in front. */
const pages: Readonly<Record<number, string>> = {
  20932: 'euc-jp',
  50220: 'iso-2022-jp',
  50221: 'iso-2022-jp',
  50222: 'iso-2022-jp',
  51932: 'euc-jp',
  51949: 'euc-kr',
  54936: 'gb18030',
}

/** The charset PuTTY's `LineCodePage` means, in the name used here, or `undefined` for one that is not known. */
export function charsetOfCodePage(text: string): string | undefined {
  const wanted = squeeze(text)
  // PuTTY takes the first of its names that begins alike.
  const row = wanted === '' ? undefined : names.find(([putty]) => squeeze(putty).startsWith(wanted))
  if (row) return row[1]
  const number = /^(?:cp|ibm)?(\d{1,5})$/.exec(wanted)?.[1]
  return pages[Number(number)] ?? lookUpCharset(number === undefined ? text : `cp${number}`)?.name
}

/** The name PuTTY has for a charset; where it has none, our own. */
export function codePageOfCharset(charset: string): string {
  const name = lookUpCharset(charset)?.name ?? charset
  return names.find(([, ours]) => ours === name)?.[0] ?? name
}

/** Letters, digits and colons count alone, as in PuTTY. */
function squeeze(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9:]/g, '')
}
