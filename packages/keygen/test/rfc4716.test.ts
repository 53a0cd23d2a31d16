import fc from 'fast-check'
import { ed25519 } from '../src/algorithms/eddsa.js'
import { rfc4716 } from '../src/formats/sshcom/rfc4716.js'
import { PublicKey } from '../src/key.js'
import { allTypes, sampleKey } from './sample-keys.js'

const BASE64 = 'AAAAC3NzaC1lZDI1NTE5AAAAIOsTpcDdXH9EFH8BQ0Prv6nWyjcVq6LpLTmLrWDV2+nR'
/** `ssh-keygen -e -f key.pub`, OpenSSH 9.2. */
const FILE = `---- BEGIN SSH2 PUBLIC KEY ----
Comment: "256-bit ED25519, converted by hana@laptop from OpenSSH"
${BASE64}
---- END SSH2 PUBLIC KEY ----
`
const key = PublicKey.fromParts(ed25519, { pk: Buffer.from(BASE64, 'base64').subarray(-32) })

function withHeaders(...lines: string[]): Buffer {
  return Buffer.from(['---- BEGIN SSH2 PUBLIC KEY ----', ...lines, BASE64, '---- END SSH2 PUBLIC KEY ----'].join('\n'))
}

async function commentOf(bytes: Buffer): Promise<string> {
  const [found, ...others] = await rfc4716.read(bytes)
  expect(found?.equals(key)).toBe(true)
  expect(others).toEqual([])
  return found?.comment ?? 'none'
}

test("OpenSSH's own file, read and written", async () => {
  const bytes = Buffer.from(FILE)
  expect(rfc4716.detect(bytes)).toBe(true)
  expect(await commentOf(bytes)).toBe('256-bit ED25519, converted by hana@laptop from OpenSSH')
  const [back] = await rfc4716.read(bytes)
  expect(back && rfc4716.write(back).toString()).toBe(FILE)
})

test.each([
  ['no header', [], ''],
  ['no quotes', ['Comment: hana@läptop'], 'hana@läptop'],
  ['quotes', ['Comment: "hana"'], 'hana'],
  ['quotes within, as asyncssh writes them', ['Comment: "a "b" c"'], 'a "b" c'],
  ['quotes and backslashes within, as PuTTY writes them', ['Comment: "a \\"b\\" \\\\ c"'], 'a "b" \\ c'],
  ['a backslash that escapes nothing', ['Comment: "CORP\\hana"'], 'CORP\\hana'],
  ['backslashes without quotes around', ['Comment: CORP\\\\hana'], 'CORP\\\\hana'],
  ['a backslash at the end of the quotes', ['Comment: "hana\\"'], 'hana\\'],
  ['one quote', ['Comment: "hana'], '"hana'],
  ['an empty comment', ['Comment: ""'], ''],
  ['a tag in another case', ['COMMENT: hana'], 'hana'],
  ['headers before and after', ['Subject: me', 'Comment: hana', 'x-mine: a: b'], 'hana'],
  ['a folded comment', ['Comment: "one \\', 'and two\\', ': three"'], 'one and two: three'],
  ['a folded header that is not ours', ['x-private: \\', 'Comment: no\\', BASE64, 'Comment: yes'], 'yes'],
  ['a blank line that goes on', ['Comment: hana\\', ''], 'hana'],
  ['blank lines', ['', 'Comment: hana', ' \t'], 'hana'],
  ['quotes on two lines', ['Comment: "h\\', '"'], 'h'],
])('%s', async (_name, lines, comment) => {
  expect(await commentOf(withHeaders(...lines))).toBe(comment)
})

test.each(['\r\n', '\r', '\n'])('lines that end with %j', async end => {
  expect(await commentOf(Buffer.from(FILE.replaceAll('\n', end)))).toContain('converted')
})

test('the comment of a file older than UTF-8', async () => {
  const bytes = Buffer.from(withHeaders('Comment: h\xe4na').toString().replace('ä', '\xe4'), 'latin1')
  expect(await commentOf(bytes)).toBe('häna')
})

test('several keys in one file', async () => {
  const keys = await rfc4716.read(Buffer.from(`${FILE}\n${FILE.replace('256-bit', 'Other')}`))
  expect(keys.map(({ comment }) => comment.slice(0, 7))).toEqual(['256-bit', 'Other E'])
})

test.each(allTypes)('%s, there and back', async type => {
  const { publicKey } = await sampleKey(type, 'häna@laptop')
  const [back] = await rfc4716.read(rfc4716.write(publicKey))
  expect(back?.equals(publicKey)).toBe(true)
  expect(back?.comment).toBe('häna@laptop')
})

test('without a comment there is no header', () => {
  expect(rfc4716.write(key).toString()).not.toContain(': ')
})

test('a comment longer than RFC 4716 allows is refused', () => {
  expect(rfc4716.write(key.withComment('x'.repeat(1022))).length).toBeGreaterThan(1022)
  for (const comment of ['x'.repeat(1023), 'a\nb']) {
    expect(() => rfc4716.write(key.withComment(comment))).toThrow(expect.objectContaining({ code: 'usage' }))
  }
})

describe('a file that was altered', () => {
  test('cut anywhere, it is damaged, with the offset', async () => {
    for (let cut = 0; cut < FILE.length - 1; cut++) {
      const error = await rfc4716.read(Buffer.from(FILE).subarray(0, cut)).catch(error => error)
      expect(error).toMatchObject({ name: 'KeytoolError', code: 'damaged' })
      expect(error.offset).toBeLessThanOrEqual(cut)
    }
  })

  test.each([
    ['the same header twice', withHeaders('Comment: a', 'comment: b')],
    ['a header after the key', Buffer.from(FILE.replace('----\n', '----\nAAAA\n'))],
    ['a name with a blank', withHeaders('My comment: a')],
    ['a colon without a blank', withHeaders('Comment:a')],
    ['a name of 65 characters', withHeaders(`${'x'.repeat(65)}: a`)],
    ['text after it', Buffer.from(`${FILE}and more`)],
    ['another kind of block after it', Buffer.from(`${FILE}---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n`)],
    ['a vertical tab', Buffer.from(FILE.replace('AAAA', '\vAAAA'))],
    ['a no-break space', Buffer.from(FILE.replace('AAAA', '\u00a0AAAA'), 'latin1')],
    ['an endless header', withHeaders(`Comment: ${'x\\\n'.repeat(20_000)}x`)],
    ['a long line', withHeaders(`Comment: ${'x'.repeat(20_000)}`)],
    ['megabytes', Buffer.from(FILE.replace('AAAA', 'AAAA\n'.repeat(1 << 20)))],
  ])('%s is damaged', async (_name, bytes) => {
    await expect(rfc4716.read(bytes)).rejects.toMatchObject({ code: 'damaged' })
  })

  test('any bytes at all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.boolean(), async (bytes, marked) => {
        const head = marked ? '---- BEGIN SSH2 PUBLIC KEY ----\n' : ''
        const error = await rfc4716.read(Buffer.concat([Buffer.from(head), bytes])).catch(error => error)
        expect(error).toMatchObject({ name: 'KeytoolError' })
      }),
      { numRuns: 500 },
    )
  })
})
