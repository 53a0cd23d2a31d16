import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { findCharset, makeTranscoder } from '@keytool/tunnel'
import { type Folder, temporaryFolder } from './world/folder.js'
import { run } from './world/run.js'

// Every character of every charset, both ways, judged by GNU's iconv.

jest.setTimeout(90_000)

/** Of libc-bin, which is on every Debian. */
const iconv = '/usr/bin/iconv'

interface Row {
  /** iconv's name for it, where it has another. */
  readonly gnu?: string
  /** Characters that iconv writes and reads otherwise, and why ours is right, too. */
  readonly otherwise?: RegExp
  /** It has letters and accents apart, and so they are shown. */
  readonly accents?: true
}

/** Bytes 0x80 to 0x9f, which iconv takes for control characters: terminals are better off without. */
const c1 = '\\u0080-\\u009f'
/** Signs that Unicode has twice, of which iconv's tables take the one and WHATWG's the other. */
const twins = '\\u2016\\u2212\\u301c\\uff5e\\u00a2\\u00a3\\u00ac\\u2014'
/** Yen and overline: iconv has them in ASCII's place, where terminals and programs mean a backslash and a tilde. */
const yen = '\\u00a5\\u203e'
const privateUse = '\\ue000-\\uf8ff'

const otherwise = (...characters: string[]): RegExp => new RegExp(`[${characters.join('')}]`, 'u')

const east: Readonly<Record<string, Row>> = {
  'euc-jp': { otherwise: otherwise(c1, twins, yen) },
  shift_jis: { otherwise: otherwise(twins, yen) },
  cp932: { otherwise: otherwise(twins, yen, privateUse) },
  // Katakana of half width is written in full width, where iconv has nothing.
  'iso-2022-jp': { otherwise: otherwise(twins, yen, '\\uff61-\\uff9f') },
  gbk: {},
  // The edition of 2000 has private characters where that of 2005 has real ones.
  gb18030: {
    otherwise: otherwise(
      '\\u9fb4-\\u9fbb\\ue5e5\\ufe10-\\ufe19\\u{20087}\\u{20089}\\u{200cc}\\u{215d7}\\u{2298f}\\u{241fe}',
    ),
  },
  // gbk is read, of which it is a part: three signs of punctuation are others.
  gb2312: { otherwise: /[\u2015\u30fb]/u },
  // Hong Kong's additions are read, too: they stand where iconv has private characters, and spell some others anew.
  big5: { otherwise: otherwise(privateUse, '\\u0080\\u2550\\u255e\\u2561\\u256a\\u2593\\u4edd') },
  cp950: { otherwise: otherwise(privateUse, '\\u0080\\u5341\\u5345') },
  // cp949 is read, of which it is a part.
  'euc-kr': { otherwise: otherwise(c1, '\\u20a9\\u327e') },
  cp949: {},
}

const west: Readonly<Record<string, Row>> = {
  ...Object.fromEntries([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16].map(part => [`iso-8859-${part}`, {}])),
  ...Object.fromEntries(
    [1250, 1251, 1252, 1253, 1254, 1256, 1257].map(page => [`windows-${page}`, { gnu: `CP${page}` }]),
  ),
  // A point of a later edition; letters with two accents apart from the letter, which no language of theirs has.
  'windows-1255': { gnu: 'CP1255', accents: true, otherwise: /[\u05ba\ufb2c\ufb2d]/u },
  'windows-1258': { gnu: 'CP1258', accents: true, otherwise: /[\u0340\u0341\u1e4c-\u1e4f\u1e78\u1e79]/u },
  'windows-874': { gnu: 'CP874' },
  ...Object.fromEntries(
    [437, 737, 775, 850, 852, 855, 857, 858, 860, 861, 862, 863, 865, 866, 869, 1124, 1125, 1162].map(page => [
      `cp${page}`,
      {},
    ]),
  ),
  'koi8-r': {},
  'koi8-u': {},
  'koi8-t': {},
  'tis-620': {},
  // Apple's own sign, and the currency sign where the euro came later.
  macintosh: { otherwise: /[\u0394\u03a9\u20ac\ue01e]/u },
  'mac-cyrillic': {},
  'mac-centraleurope': {},
  'hp-roman8': {},
  'armscii-8': {},
  'georgian-academy': {},
  'georgian-ps': {},
  rk1048: {},
  pt154: {},
  mik: {},
  'us-ascii': { gnu: 'ASCII' },
}

let folder: Folder

beforeAll(async () => {
  folder = await temporaryFolder()
})

afterAll(() => folder.dispose())

function charactersOf(...ranges: readonly (readonly [first: number, last: number])[]): string[] {
  return ranges.flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, i) => String.fromCodePoint(first + i)),
  )
}

describe.each([
  [
    'of the East',
    east,
    [
      [0x80, 0xd7ff],
      [0xe000, 0x2ffff],
    ],
  ],
  [
    'of the West',
    west,
    [
      [0x80, 0x2fff],
      [0xe000, 0xe0ff],
      [0xf800, 0x100ff],
    ],
  ],
] as const)('charsets %s', (_where, charsets, ranges) => {
  const characters = charactersOf(...ranges)
  const text = characters.map(character => `${character}\n`).join('')

  test.each(Object.entries(charsets))('%s', async (name, { gnu = name, otherwise: differing, accents = false }) => {
    const form = (shown = '') => (accents ? shown.normalize() : shown)
    const [file, written] = [join(folder.path, 'text'), join(folder.path, 'bytes')]
    await writeFile(file, text)
    // What the charset lacks is left out: its line is empty.
    const { stderr } = await run(iconv, ['-c', '-f', 'UTF-8', '-t', gnu.toUpperCase(), '-o', written, file])
    expect(stderr).toBe('')
    const bytes = await readFile(written)
    const charset = findCharset(name)
    const utf8 = findCharset('utf-8')
    const encoder = await makeTranscoder(utf8, charset)
    const decoder = await makeTranscoder(charset, utf8)

    const [theirs, ours] = [bytes, encoder.turn(Buffer.from(text))].map(all => all.toString('latin1').split('\n'))
    const [read, back] = [bytes, Buffer.from((ours ?? []).join('\n'), 'latin1')].map(all =>
      Buffer.concat([decoder.turn(all), decoder.end()])
        .toString()
        .split('\n'),
    )
    const wrong: string[] = []
    let same = 0
    for (const [i, character] of characters.entries()) {
      const [expected, got] = [theirs?.[i] ?? '', ours?.[i] ?? '']
      if (differing?.test(character)) continue
      if (expected !== '' && (got !== expected || form(read?.[i]) !== form(character))) wrong.push(`${character} ${i}`)
      // Those that only we know come back as they went.
      if (expected === '' && got !== '?' && back?.[i]?.normalize() !== character.normalize())
        wrong.push(`${character} back`)
      if (expected !== '' && got === expected) same++
    }
    expect(wrong).toEqual([])
    if (name !== 'us-ascii') expect(same).toBeGreaterThan(60)
  })
})

test('text that is written together with accents: as iconv writes it', async () => {
  const file = join(folder.path, 'vietnamese')
  await writeFile(file, 'Tiếng Việt Nghĩa là gì ữ Ặ\n')
  await run(iconv, ['-f', 'UTF-8', '-t', 'CP1258', '-o', join(folder.path, 'bytes'), file])
  const encoder = await makeTranscoder(findCharset('utf-8'), findCharset('windows-1258'))
  expect(encoder.turn(await readFile(file)).equals(await readFile(join(folder.path, 'bytes')))).toBe(true)
  expect(encoder.lost).toBe(0)
})
