/** A code page of Windows that nothing names, by what its bytes look like. */
interface Look {
  readonly charset: string
  /** What is found in it, of the bytes read as latin-1: more in a row than there is by chance in an alphabet of Europe. */
  readonly bytes: RegExp
  /** What does not stand in it, of its characters. */
  readonly others: RegExp
}

/** In the order in which they are tried. */
const looks: readonly Look[] = [
  {
    charset: 'shift_jis',
    bytes: /[\x81-\x9f][\x40-\x7e\x80-\xfc][\x81-\x9f\xe0-\xef]|[\x81-\x9f\xe0-\xef][\x40-\x7e\x80-\xfc][\x81-\x9f]/,
    others: /[^\0-\x7f\u3000-\u30ff\u4e00-\u9fff\uff01-\uff9f]/,
  },
  { charset: 'euc-kr', bytes: /(?:[\xb0-\xc8][\xa1-\xfe]){2}/, others: /[^\0-\x7f\uac00-\ud7a3]/ },
  {
    charset: 'gbk',
    bytes: /(?:[\xb0-\xd7][\xa1-\xfe]){2}/,
    others: /[^\0-\x7f\u3000-\u3002\u4e00-\u9fff\uff01-\uff5e]/,
  },
  {
    charset: 'windows-1251',
    bytes: /[\xc0-\xff]{4}/,
    others: /[^\0-\x7f\u00a0-\u00bb\u0401\u0410-\u0451\u2013-\u201e\u2116]/,
  },
]

/**
 * The text of bytes that are no UTF-8 and come from a Windows nobody knows the country of. A guess, to be shown; and to read
 * what a Japanese one wrote, in whose characters there are bytes of a backslash. Without a better one windows-1252.
 */
export function decodeLegacy(bytes: Uint8Array): string {
  const raw = Buffer.from(bytes).toString('latin1')
  for (const { charset, bytes: pattern, others } of looks) {
    const text = pattern.test(raw) ? decodeWhole(charset, bytes) : undefined
    if (text !== undefined && !others.test(text)) return text
  }
  // Node 20 takes it for latin-1 unless it is read as a stream.
  return new TextDecoder('windows-1252').decode(bytes, { stream: true })
}

function decodeWhole(charset: string, bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder(charset, { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}
