import iconv from 'iconv-lite'
import { findCharset, terminalCharset } from '../src/charset/charset.js'
import { charsetNames, lookUpCharset } from '../src/charset/names.js'
import { makeTranscoder, transcodingStream } from '../src/charset/transcoder.js'

const utf8 = findCharset('utf-8')

/** One text a script; the charsets that have all of it. */
const samples: readonly (readonly [text: string, ...charsets: string[]])[] = [
  ['日本語、表示ソ能 ｶﾅ ～ 漢', 'euc-jp', 'shift_jis', 'gb18030', 'utf-8'],
  ['丂丄 JIS X 0212', 'euc-jp', 'gb18030', 'utf-8'],
  ['ひらがなカタカナ漢字', 'iso-2022-jp', 'euc-jp', 'shift_jis', 'gbk', 'gb18030', 'big5', 'euc-kr'],
  ['简体中文，镕', 'gbk', 'gb18030', 'utf-8'],
  ['𠀀𝄞 😀 ᠀', 'gb18030', 'utf-8'],
  ['繁體中文，功蓋許', 'big5', 'gbk', 'gb18030', 'cp950'],
  ['香港𨋢嘅Ê', 'big5'],
  ['한국어 똠방각하', 'euc-kr', 'gb18030', 'utf-8'],
  ['Русский язык', 'koi8-r', 'koi8-u', 'windows-1251', 'iso-8859-5', 'cp866', 'mac-cyrillic', 'euc-jp', 'gbk'],
  ['Ґанок її', 'koi8-u', 'windows-1251', 'cp1125'],
  ['Ελληνικά', 'iso-8859-7', 'windows-1253', 'cp737'],
  ['Grüße, naïveté £', 'iso-8859-1', 'iso-8859-15', 'windows-1252', 'cp437', 'cp850', 'macintosh'],
  ['€ Šœ', 'iso-8859-15', 'windows-1252'],
  ['Příliš žluťoučký', 'iso-8859-2', 'windows-1250', 'cp852'],
  ['ภาษาไทย', 'tis-620', 'windows-874', 'iso-8859-11'],
  ['ＡＢ「」┼', 'cp950', 'big5'],
]
const pairs = samples.flatMap(([text, ...charsets]) => charsets.map(charset => [charset, text] as const))

/** Bytes given to a transcoder in these pieces. */
async function turn(from: string, to: string, pieces: readonly Uint8Array[]): Promise<Buffer> {
  const transcoder = await makeTranscoder(findCharset(from), findCharset(to))
  return Buffer.concat([...pieces.map(piece => transcoder.turn(piece)), transcoder.end()])
}

const halves = (bytes: Buffer): [Buffer, Buffer][] =>
  Array.from({ length: bytes.length + 1 }, (_, i) => [bytes.subarray(0, i), bytes.subarray(i)])
const singly = (bytes: Buffer): Buffer[] => [...bytes].map(byte => Buffer.from([byte]))

describe('text goes there and back', () => {
  test.each(pairs)('%s: %s', async (charset, text) => {
    const far = await turn('utf-8', charset, [Buffer.from(text)])
    if (charset !== 'utf-8') expect(far.equals(Buffer.from(text))).toBe(false)
    expect((await turn(charset, 'utf-8', [far])).toString()).toBe(text)
  })

  test.each(pairs)('%s, cut anywhere, both ways: %s', async (charset, text) => {
    const far = await turn('utf-8', charset, [Buffer.from(text)])
    const back = [...halves(far), singly(far)].map(pieces => turn(charset, 'utf-8', pieces))
    expect(new Set((await Promise.all(back)).map(String))).toEqual(new Set([text]))
    const near = Buffer.from(text)
    const cut = await Promise.all([...halves(near), singly(near)].map(pieces => turn('utf-8', charset, pieces)))
    // ISO-2022-JP returns to ASCII after each piece: the same text in other bytes.
    const seen = charset === 'iso-2022-jp' ? cut.map(bytes => turn(charset, 'utf-8', [bytes])) : cut
    const expected = charset === 'iso-2022-jp' ? near : far
    expect(new Set((await Promise.all(seen)).map(bytes => bytes.toString('hex')))).toEqual(
      new Set([expected.toString('hex')]),
    )
  })

  test('from one charset to another: a terminal that is EUC-JP itself, a far side in Shift_JIS', async () => {
    const near = await turn('utf-8', 'euc-jp', [Buffer.from('表示')])
    const far = await turn('euc-jp', 'shift_jis', singly(near))
    expect(far.toString('hex')).toBe('955c8ea6')
    expect(await turn('shift_jis', 'euc-jp', singly(far))).toEqual(near)
  })

  test.each([
    ['euc-jp', 'あ漢', 'a4a2b4c1'],
    ['shift_jis', 'ソ表', '835c955c'],
    ['gb18030', 'é€', 'a8a6a2e3'],
    ['gbk', '中', 'd6d0'],
    ['big5', '中', 'a4a4'],
    ['big5', 'ÊÊ̄', '88668862'],
    ['euc-kr', '한', 'c7d1'],
    ['koi8-r', 'Я', 'f1'],
    ['cp437', 'ü', '81'],
    ['iso-2022-jp', 'aあ', '611b244224221b2842'],
  ])('%s writes %s as %s', async (charset, text, hex) => {
    expect((await turn('utf-8', charset, [Buffer.from(text)])).toString('hex')).toBe(hex)
  })
})

describe('what a terminal acts on', () => {
  const controls = Buffer.from([...Array(128).keys()])

  test.each(charsetNames)('%s: ASCII with every control byte, both ways', async charset => {
    expect(await turn(charset, 'utf-8', [controls])).toEqual(controls)
    expect(await turn('utf-8', charset, [controls])).toEqual(controls)
  })

  test.each(charsetNames)('%s: an escape sequence after bytes that mean nothing', async charset => {
    const endings = new Set<string>()
    for (const before of ['80', '8f', '8fa1', 'a0', 'a4', '81', '8130', '813081', '98', 'fd', 'ff', '1b24', '1b2842']) {
      const bytes = Buffer.from(`${before}1b5b316d0a1b5d303b610741`, 'hex')
      for (const pieces of [[bytes], singly(bytes)]) {
        endings.add((await turn(charset, 'utf-8', pieces)).toString().slice(-11))
      }
    }
    expect([...endings]).toEqual(['\x1b[1m\n\x1b]0;a\x07A'.slice(-11)])
  })

  test('ISO-2022-JP: sequences of the terminal’s own pass, those of the charset do not', async () => {
    const far = Buffer.from('\x1b[1m\x1b$B$"\x1b(B\x1b(0qq\x1b(B\x1b$B$$\n=\x1b(I1\x1b(J\\\x1b', 'latin1')
    for (const pieces of [[far], singly(far)]) {
      expect((await turn('iso-2022-jp', 'utf-8', pieces)).toString()).toBe('\x1b[1mあ\x1b(0qq\x1b(Bい\n=ｱ\\\x1b')
    }
  })
})

describe('what means nothing', () => {
  /** A generator of the test's own: the same bytes at every run. */
  function* bytes(seed: number): Generator<number> {
    for (let x = seed; ; x = (x * 1103515245 + 12345) & 0x7fffffff) yield (x >>> 16) & 0xff
  }

  test.each(charsetNames)('%s: any bytes, cut anywhere, give the same text', async charset => {
    const source = bytes(7)
    const noise = Buffer.from(Array.from({ length: 60 }, () => source.next().value ?? 0))
    const texts = await Promise.all([...halves(noise), singly(noise)].map(pieces => turn(charset, 'utf-8', pieces)))
    expect(new Set(texts.map(text => text.toString('hex'))).size).toBe(1)
    // And any text becomes bytes.
    await turn('utf-8', charset, singly(noise))
  })

  test.each([
    ['euc-jp', 'a40a', '\ufffd\n'],
    ['euc-jp', 'a4', '\ufffd'],
    ['euc-jp', '8fb0', '\ufffd\ufffd'],
    ['euc-jp', '8fb041', '\ufffdA'],
    ['shift_jis', '82', '\ufffd'],
    ['shift_jis', '8220', '\ufffd '],
    ['shift_jis', '823c', '\ufffd<'],
    ['gb18030', '8130', '\ufffd0'],
    ['gb18030', '81308141', '\ufffd0丄'],
    ['gb18030', 'fe39fe39', '\ufffd9\ufffd9'],
    ['us-ascii', 'e4', '\ufffd'],
    ['windows-1253', 'ff', '\ufffd'],
    ['utf-8', 'efbbbf61', '\ufeffa'],
    ['utf-8', 'e3', '\ufffd'],
    ['iso-2022-jp', '1b242424e4', '\x1b$$$\ufffd'],
    ['iso-2022-jp', '1b244224', '\ufffd'],
  ])('%s %s', async (charset, hex, text) => {
    expect((await turn(charset, 'utf-8', [Buffer.from(hex, 'hex')])).toString()).toBe(text)
  })
})

describe('what the other side lacks', () => {
  test.each([
    ['euc-jp', 'a😀b\ufffdé€', 'a?b?\x8f\xab\xb1?', 3],
    ['koi8-r', 'Яあ😀', '\xf1??', 2],
    ['windows-1251', '\ufffd', '?', 1],
    ['us-ascii', 'é?', '??', 1],
    ['iso-2022-jp', '丂ｶﾞ', '?\x1b$B%,\x1b(B', 1],
    ['gb18030', '\ufffd', '\x84\x31\xa4\x37', 0],
    ['utf-8', '\ufffd', '\xef\xbf\xbd', 0],
  ])('%s: %s', async (charset, text, bytes, lost) => {
    const transcoder = await makeTranscoder(utf8, findCharset(charset))
    expect(transcoder.turn(Buffer.from(text)).toString('latin1')).toBe(bytes)
    expect(transcoder.lost).toBe(lost)
  })

  test('both of Unicode’s spellings of a Japanese sign are written', async () => {
    const far = await turn('utf-8', 'euc-jp', [Buffer.from('〜～−－‖∥')])
    expect(far.toString('hex')).toBe('a1c1a1c1a1dda1dda1c2a1c2')
  })

  test('is said once', async () => {
    let said = 0
    const stream = transcodingStream(await makeTranscoder(utf8, findCharset('koi8-r')), () => said++)
    const written: Buffer[] = []
    stream.on('data', piece => written.push(piece))
    for (const piece of ['Я', 'あ', 'い']) stream.write(piece)
    stream.end(Buffer.from([0xe3]))
    await new Promise(resolve => stream.on('end', resolve))
    expect(Buffer.concat(written).toString('latin1')).toBe('\xf1???')
    expect(said).toBe(1)
  })
})

describe('names', () => {
  test.each([
    ['EUC-JP', 'euc-jp'],
    ['eucJP', 'euc-jp'],
    ['ujis', 'euc-jp'],
    ['Shift_JIS', 'shift_jis'],
    ['SJIS', 'shift_jis'],
    ['cp932', 'shift_jis'],
    ['latin1', 'iso-8859-1'],
    ['ISO_8859-1:1987', 'iso-8859-1'],
    ['ISO8859-15', 'iso-8859-15'],
    ['UTF8', 'utf-8'],
    ['CP1251', 'windows-1251'],
    ['gb2312', 'gbk'],
    ['Big5-HKSCS', 'big5'],
    ['IBM866', 'cp866'],
  ])('%s is %s', (label, name) => {
    expect(findCharset(label).name).toBe(name)
  })

  test.each([
    'utf-16',
    'utf-16le',
    'utf-7',
    'base64',
    'hex',
    'binary',
    'viscii',
    'cp037',
    '',
    'euc-jp\n',
    'constructor',
  ])('%j is none', label => {
    expect(() => findCharset(label)).toThrow(expect.objectContaining({ code: 'usage' }))
  })

  test('a name with a slip of the hand: what may have been meant', () => {
    expect(() => findCharset('euc-jb')).toThrow(
      expect.objectContaining({
        message: '"euc-jb" is no charset known here',
        hint: expect.stringContaining('euc-jp'),
      }),
    )
    expect(() => findCharset('\x1b[31m')).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('\x1b') }),
    )
  })

  test('every charset of iconv-lite that has ASCII in its place', () => {
    expect(iconv.encodingExists('euc-jp')).toBe(true)
    const { encodings } = iconv as unknown as { encodings: Record<string, unknown> }
    const ascii = Buffer.from([...Array(128).keys()])
    const names = Object.keys(encodings).filter(name => !name.startsWith('_') && !/^\d+$/.test(name))
    expect(names.length).toBeGreaterThan(300)
    const missing = names.filter(name => {
      if (lookUpCharset(name)) return false
      return iconv.decode(ascii, name, { stripBOM: false }) === ascii.toString('latin1')
    })
    // UTF-8 in disguise; and bytes as they are, which iso-8859-1 is.
    expect(missing).toEqual(['cesu8', 'binary'])
  })

  test.each([
    [{ LANG: 'ja_JP.eucJP' }, 'euc-jp'],
    [{ LANG: 'ja_JP.eucJP', LC_ALL: 'de_DE.ISO8859-15@euro' }, 'iso-8859-15'],
    [{ LANG: 'ja_JP.eucJP', LC_CTYPE: 'ja_JP.UTF-8', LC_ALL: '' }, 'utf-8'],
    [{ LANG: 'C' }, 'utf-8'],
    [{ LANG: 'xx.martian' }, 'utf-8'],
    [{}, 'utf-8'],
  ])('the terminal of %j shows %s', (env, name) => {
    expect(terminalCharset(env).name).toBe(name)
  })
})
