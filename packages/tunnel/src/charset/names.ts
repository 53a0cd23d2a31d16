/** How a charset's bytes are put together. UTF-8 is node's own affair; the others are read from tables. */
export type Structure = 'utf-8' | 'single' | 'double' | 'euc-jp' | 'gb18030' | 'iso-2022-jp'

interface Row {
  readonly structure: Structure
  /** Other names for it, without the signs between letters and digits: WHATWG's, IANA's, those of locales. */
  readonly aliases: string
  /** Under which name its table is found, where that is another. */
  readonly table?: string
}

const single = (aliases = '', table?: string): Row => ({ structure: 'single', aliases, ...(table && { table }) })
const double = (aliases = '', table?: string): Row => ({ structure: 'double', aliases, ...(table && { table }) })

/**
 * One row a charset. All of them have ASCII in its place, bytes under 0x80 that are controls above all: what is none of
 * that (UTF-16, UTF-7, EBCDIC, VISCII) can't be spoken on a terminal, and is no charset here.
 */
const charsets: Readonly<Record<string, Row>> = {
  'utf-8': { structure: 'utf-8', aliases: 'unicode11utf8 unicode20utf8 xunicode20utf8 cp65001' },
  'us-ascii': single(
    'ascii ascii8bit ansix34 ansix341968 ansix341986 isoir6 iso646us iso646irv csascii us cp367 ibm367',
    'ascii',
  ),
  'iso-8859-1': single('latin1 csisolatin1 l1 isoir100 cp819 ibm819 iso885911987 cp28591'),
  'iso-8859-2': single('latin2 csisolatin2 l2 isoir101 iso885921987 cp28592'),
  'iso-8859-3': single('latin3 csisolatin3 l3 isoir109 iso885931988 cp28593'),
  'iso-8859-4': single('latin4 csisolatin4 l4 isoir110 iso885941988 cp28594'),
  'iso-8859-5': single('cyrillic csisolatincyrillic isoir144 iso885951988 cp28595'),
  'iso-8859-6': single(
    'arabic arabic8 csisolatinarabic isoir127 ecma114 asmo708 iso885961987 csiso88596e csiso88596i iso88596e iso88596i cp28596',
  ),
  'iso-8859-7': single('greek greek8 suneugreek csisolatingreek isoir126 ecma118 elot928 iso885971987 cp28597'),
  'iso-8859-8': single(
    'hebrew hebrew8 csisolatinhebrew isoir138 visual logical iso885981988 csiso88598e csiso88598i iso88598e iso88598i cp28598',
  ),
  'iso-8859-9': single('latin5 csisolatin5 l5 isoir148 turkish turkish8 iso885991989 cp28599'),
  'iso-8859-10': single('latin6 csisolatin6 l6 isoir157 iso8859101992 cp28600'),
  'iso-8859-11': single('thai thai8 cp28601'),
  'iso-8859-13': single('latin7 l7 isoir179 cp28603'),
  'iso-8859-14': single('latin8 l8 isoir199 celtic celtic8 isoceltic cp28604'),
  'iso-8859-15': single('latin9 csisolatin9 l9 isoir203 cp28605'),
  'iso-8859-16': single('latin10 l10 isoir226 cp28606'),
  'windows-874': single('cp874 win874 dos874'),
  'windows-1250': single('cp1250 xcp1250 win1250 msee'),
  'windows-1251': single('cp1251 xcp1251 win1251 mscyrl'),
  'windows-1252': single('cp1252 xcp1252 win1252 msansi'),
  'windows-1253': single('cp1253 xcp1253 win1253 msgreek'),
  'windows-1254': single('cp1254 xcp1254 win1254 msturk'),
  'windows-1255': single('cp1255 xcp1255 win1255 mshebr'),
  'windows-1256': single('cp1256 xcp1256 win1256 msarab'),
  'windows-1257': single('cp1257 xcp1257 win1257 winbaltrim'),
  'windows-1258': single('cp1258 xcp1258 win1258'),
  'koi8-r': single('koi koi8 cskoi8r cp20866 ibm878'),
  'koi8-u': single('cp21866 ibm1168'),
  'koi8-ru': single(),
  'koi8-t': single(),
  cp437: single('ibm437 cspc8codepage437 csibm437'),
  cp720: single(),
  cp737: single('ibm737 csibm737'),
  cp775: single('ibm775 cspc775baltic csibm775'),
  cp808: single('ibm808'),
  cp850: single('ibm850 cspc850multilingual csibm850'),
  cp852: single('ibm852 cspcp852 csibm852'),
  cp855: single('ibm855 csibm855'),
  cp856: single('ibm856 csibm856'),
  cp857: single('ibm857 csibm857'),
  cp858: single('ibm858 csibm858'),
  cp860: single('ibm860 csibm860'),
  cp861: single('ibm861 csibm861'),
  cp862: single('ibm862 cspc862latinhebrew csibm862'),
  cp863: single('ibm863 csibm863'),
  cp864: single('ibm864 csibm864'),
  cp865: single('ibm865 csibm865'),
  cp866: single('ibm866 csibm866'),
  cp869: single('ibm869 cpgr csibm869'),
  cp922: single('ibm922 csibm922'),
  cp1046: single('ibm1046 csibm1046'),
  cp1124: single('ibm1124 csibm1124'),
  cp1125: single('ibm1125 csibm1125'),
  cp1129: single('ibm1129 csibm1129'),
  cp1133: single('ibm1133 csibm1133'),
  cp1161: single('ibm1161 csibm1161'),
  cp1162: single('ibm1162 csibm1162'),
  cp1163: single('ibm1163 csibm1163'),
  'tis-620': single('isoir166 tis6200 tis62025291 tis62025330'),
  macintosh: single('mac xmacroman macroman csmacintosh cp10000', 'macroman'),
  'mac-cyrillic': single('xmaccyrillic xmacukrainian macukraine cp10007', 'macukraine'),
  'mac-greek': single('cp10006'),
  'mac-centraleurope': single('maccenteuro xmacce cp10029', 'maccenteuro'),
  'mac-iceland': single('cp10079'),
  'mac-turkish': single('cp10081'),
  'mac-croatian': single(),
  'mac-romania': single(),
  'mac-thai': single(),
  mik: single(),
  rk1048: single('strk10482002'),
  pt154: single(),
  'hp-roman8': single('cshproman8 r8 roman8 xroman8 ibm1051', 'hproman8'),
  'armscii-8': single(),
  'georgian-academy': single(),
  'georgian-ps': single(),
  'euc-jp': { structure: 'euc-jp', aliases: 'ujis xeucjp cseucpkdfmtjapanese eucjpms' },
  shift_jis: double('sjis xsjis mskanji csshiftjis ms932 windows31j windows932 ms31j cp932 pck'),
  'iso-2022-jp': { structure: 'iso-2022-jp', aliases: 'jis csiso2022jp', table: 'euc-jp' },
  gbk: double('xgbk isoir58 cp936 ms936 windows936 gb2312 gb231280 gb23121980 csgb2312 csiso58gb231280 euccn chinese'),
  gb18030: { structure: 'gb18030', aliases: 'gb180302000 gb180302005 gb180302022' },
  big5: double('big5hkscs cnbig5 csbig5 xxbig5 xbig5', 'big5hkscs'),
  cp950: double('ms950 windows950'),
  'euc-kr': double('ksc56011987 ksc56011989 ksc5601 isoir149 korean cseuckr csksc56011987 windows949 ms949 cp949 uhc'),
}

export interface Charset {
  /** As it is written in help and errors: `euc-jp`. */
  readonly name: string
  readonly structure: Structure
  /** Under which name the tables are found. */
  readonly table: string
}

/** Letters and digits tell charsets apart; what stands between them, and capitals, people write as they like. */
const fold = (label: string): string => label.toLowerCase().replace(/[-_.: ]/g, '')

const byLabel: ReadonlyMap<string, Charset> = new Map(
  Object.entries(charsets).flatMap(([name, { structure, aliases, table = name }]) =>
    [fold(name), ...aliases.split(' ').filter(Boolean)].map(label => [label, { name, structure, table }] as const),
  ),
)

/** Every charset's own name. */
export const charsetNames: readonly string[] = Object.keys(charsets)

/** The charset of this name, `undefined` where it is none, or none that a terminal can speak. */
export function lookUpCharset(label: string): Charset | undefined {
  return /^[\w.:-]{1,40}$/.test(label) ? byLabel.get(fold(label)) : undefined
}
