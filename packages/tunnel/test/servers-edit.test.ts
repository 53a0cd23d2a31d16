import { generate, type PublicKey } from '@keytool/keygen'
import { addKeyLine, findLines, formatAuthorizedKey, removeKeyLines } from '../src/servers/authorized-keys.js'

const FILES = 2000

let key: PublicKey
let others: PublicKey[]

beforeAll(async () => {
  const keys = await Promise.all(['hana@laptop', 'a', 'b'].map(comment => generate('ed25519', { comment })))
  const [first, ...rest] = keys.map(({ publicKey }) => publicKey)
  if (!first) throw new Error('no key')
  key = first
  others = rest
})

/** The same numbers each time: xorshift. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return Math.abs(state) % below
  }
}

/** What lines are made of: keys of others, with and without options, comments, blanks, junk, bytes of any kind. */
function makeFile(below: (n: number) => number): { before: Buffer; isWhole: boolean } {
  const pieces = [
    () => formatAuthorizedKey(others[below(2)] ?? key, below(2) ? 'no-pty,command="a \\"b\\" c"' : ''),
    () => `cert-authority ${formatAuthorizedKey(key)}`,
    () => `# ${formatAuthorizedKey(key)}`,
    () => '',
    () => ' \t',
    () => 'ssh-rsa junk',
    () => `nope="${formatAuthorizedKey(key)}`,
    () =>
      Buffer.from(Array.from({ length: below(40) }, () => 1 + below(255)))
        .toString('latin1')
        .replace(/\n/g, ''),
  ]
  const lines = Array.from(
    { length: below(8) },
    () => `${(pieces[below(pieces.length)] ?? (() => ''))()}${below(3) ? '\n' : '\r\n'}`,
  )
  const isWhole = lines.length === 0 || below(3) > 0
  const text = `${below(10) ? '' : '\xef\xbb\xbf'}${lines.join('')}`
  const before = Buffer.from(isWhole ? text : text.replace(/\r?\n$/, ''), 'latin1')
  return { before, isWhole: before.length === 0 || before.at(-1) === 10 }
}

test(`in ${FILES} files: added, the key is there once, and what was there is untouched; removed again, all is as before`, () => {
  const below = numbers(20_251_130)
  let tried = 0
  for (let index = 0; index < FILES; index++) {
    const { before, isWhole } = makeFile(below)
    if (before.subarray(0, 2).equals(Buffer.of(0xff, 0xfe)) || before.subarray(0, 2).equals(Buffer.of(0xfe, 0xff)))
      continue
    tried++
    const after = addKeyLine(before, key, below(2) ? 'no-pty' : '')
    expect(after.subarray(0, before.length).equals(before)).toBe(true)
    expect(after.at(-1)).toBe(10)
    expect(findLines(after, key)).toHaveLength(1)
    const again = removeKeyLines(after, key)
    // The newline that was missing stays: nothing tells it from one that was there.
    expect(again.subarray(0, before.length).equals(before)).toBe(true)
    expect(again.subarray(before.length).toString()).toMatch(isWhole ? /^$/ : /^\r?\n$/)
  }
  expect(tried).toBeGreaterThan(FILES * 0.9)
})

describe('the new line ends as the file does', () => {
  const added = (content: string): string => addKeyLine(Buffer.from(content), key).toString().slice(content.length)
  const line = () => formatAuthorizedKey(key)

  test.each([
    ['empty', '', () => `${line()}\n`],
    ['LF', '# a\n', () => `${line()}\n`],
    ['CR LF', '# a\r\n', () => `${line()}\r\n`],
    ['LF at last', '# a\r\n# b\n', () => `${line()}\n`],
    ['none', '# a', () => `\n${line()}\n`],
    ['none after CR LF', '# a\r\n# b', () => `\r\n${line()}\r\n`],
    ['a lone CR', '# a\r', () => `\n${line()}\n`],
    ['a newline alone', '\n', () => `${line()}\n`],
    ['a byte order mark alone: behind it sshd would not heed the key', '\ufeff', () => `\n${line()}\n`],
  ])('%s', (_what, content, wanted) => {
    expect(added(content)).toBe(wanted())
  })
})

test('a key in the first line behind a byte order mark is not heeded: it is added, and removing leaves that line', () => {
  const before = Buffer.from(`\ufeff${formatAuthorizedKey(key)}\n`)
  const after = addKeyLine(before, key)
  expect(findLines(after, key)).toMatchObject([{ line: 2 }])
  expect(removeKeyLines(after, key)).toEqual(before)
})
