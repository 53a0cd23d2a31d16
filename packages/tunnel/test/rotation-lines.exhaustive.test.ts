import { generate, isKeytoolError, type PublicKey } from '@keytool/keygen'
import fc from 'fast-check'
import { findLines, formatAuthorizedKey } from '../src/servers/authorized-keys.js'
import { planAdding, withEndsBefore, withOldLines, withoutAdded, withoutKey } from '../src/servers/rotation/lines.js'

let old: PublicKey
let fresh: PublicKey
let other: PublicKey

beforeAll(async () => {
  const make = async (comment: string) => (await generate('ed25519', { comment })).publicKey
  ;[old, fresh, other] = [await make('old'), await make('new one'), await make('other')]
})

const line = (key: PublicKey, options = '') => formatAuthorizedKey(key, options)

/** The whole way there and back; what stood in between. */
function goThereAndBack(text: string | Buffer): { added: string; removed: string; back: Buffer } {
  const before = Buffer.from(text)
  const plan = planAdding(before, old, fresh, [])
  const added = plan.after ?? before
  const again = planAdding(added, old, fresh, plan.added)
  const known = withEndsBefore(again.old, plan.old)
  expect({ ...again, old: known, isThere: true }).toEqual({ ...plan, isThere: true, after: undefined })
  const removed = withoutKey(added, old) ?? added
  const restored = withOldLines(removed, old, plan.old, plan.added) ?? removed
  const back = withoutAdded(restored, fresh, plan.added, plan.old) ?? restored
  // From the middle, too.
  expect(withOldLines(added, old, plan.old, plan.added)).toBeUndefined()
  expect(withoutAdded(added, fresh, plan.added, plan.old) ?? added).toEqual(back)
  return { added: added.toString('latin1'), removed: removed.toString('latin1'), back }
}

test('the new line stands below the old one, with its options to the letter', () => {
  const options = 'from="192.0.2.*,!192.0.2.7",command="echo \\"a b\\"",No-PTY'
  const { added, removed } = goThereAndBack(`# mine\n${line(old, options)}\n${line(other)}\n`)
  expect(added).toBe(`# mine\n${line(old, options)}\n${line(fresh, options)}\n${line(other)}\n`)
  expect(removed).toBe(`# mine\n${line(fresh, options)}\n${line(other)}\n`)
})

test('several lines of the old key: the new one has the same set, once each', () => {
  const lines = [line(old, 'no-pty'), line(other), line(old), line(old, 'NO-PTY')]
  const { added } = goThereAndBack(`${lines.join('\n')}\n`)
  expect(added.split('\n')).toEqual([lines[0], line(fresh, 'no-pty'), lines[1], lines[2], line(fresh), lines[3], ''])
})

test('a line of somebody else’s that a journal has is put nowhere', () => {
  const put = (text: string) => withOldLines(Buffer.from(`${line(fresh)}\n`), old, [{ line: 1, text, above: '' }], [])
  for (const text of [line(other), `${line(other)} ${line(old)}`, '# nothing', `cert-authority ${line(old)}`]) {
    expect(() => put(`${text}\n`)).toThrow(expect.objectContaining({ code: 'damaged' }))
  }
  expect(put(`${line(old)}\n`)?.toString()).toBe(`${line(old)}\n${line(fresh)}\n`)
})

test.each([
  ['a last line without an end', () => `${line(other)}\n${line(old)}`],
  ['nothing but it, without an end', () => line(old)],
  ['CRLF', () => `${line(other)}\r\n${line(old)}\r\n# end\r\n`],
  ['CRLF, without a last end', () => `${line(other)}\r\n${line(old)}`],
  ['blank lines and comments', () => `\n\n  # a\n\t${line(old)}  \n\n# ${line(old)}\n`],
  [
    'bytes that are no UTF-8 in comments',
    () => Buffer.from(`# \xe9\xff\n${line(old)} \xe9\n${line(other)} \xfc`, 'latin1'),
  ],
  ['an authority of the same key', () => `cert-authority ${line(old)}\n${line(old)}\n`],
  ['twice the same', () => `${line(old)}\n${line(other)}\n${line(old)}\n`],
  ['the new key there already', () => `${line(fresh)}\n${line(other)}\n${line(old)}\n`],
  ['the new key there with another comment, below', () => `${line(old)}\n${line(fresh.withComment('x'))}`],
  ['an option of 16 KiB', () => `environment="A=${'x'.repeat(16_000)}" ${line(old)}\n`],
])('there and back is byte for byte as before: %s', (_what, text) => {
  const before = Buffer.from(text())
  const { removed, back } = goThereAndBack(before)
  expect(back).toEqual(before)
  expect(findLines(Buffer.from(removed, 'latin1'), old)).toEqual([])
  expect(findLines(Buffer.from(removed, 'latin1'), fresh)).not.toEqual([])
})

test('… and of any other file', () => {
  const plain = fc.stringMatching(/^[ -~\xa0-\xff\t]{0,24}$/).map(text => `# ${text}`)
  const blank = fc.constantFrom('', '  ', '\t', '#')
  const key = fc.tuple(
    fc.constantFrom('', 'no-pty', 'restrict,pty', 'cert-authority', 'from="10.0.0.1"', 'nonsense'),
    fc.constantFrom('old', 'old', 'other', 'fresh'),
    fc.constantFrom('', 'x', 'y z'),
  )
  const row = fc.oneof(plain, blank, key)
  const file = fc.array(fc.tuple(row, fc.constantFrom('\n', '\n', '\r\n')), { maxLength: 12 })
  fc.assert(
    fc.property(file, fc.boolean(), (rows, isOpen) => {
      const keys = { old, other, fresh }
      const text = rows
        .map(([each, end], index) => {
          const shown =
            typeof each === 'string' ? each : line(keys[each[1] as keyof typeof keys].withComment(each[2]), each[0])
          return shown + (isOpen && index === rows.length - 1 ? '' : end)
        })
        .join('')
      const before = Buffer.from(text, 'latin1')
      try {
        expect(goThereAndBack(before).back.toString('latin1')).toBe(before.toString('latin1'))
      } catch (error) {
        // The new key is there with other options: nothing was planned.
        if (!isKeytoolError(error) || error.code !== 'refused') throw error
      }
    }),
    { numRuns: 2000 },
  )
})

test.each([
  ['wider', 'no-pty', ''],
  ['other', 'from="192.0.2.1"', 'from="192.0.2.2"'],
  ['narrower', '', 'restrict'],
])('the new key is there with %s options: refused, whatever they are', (_what, ofOld, ofNew) => {
  const bytes = Buffer.from(`${line(old, ofOld)}\n${line(fresh, ofNew)}\n`)
  expect(() => planAdding(bytes, old, fresh, [])).toThrow(expect.objectContaining({ code: 'refused' }))
  // The same once more of the ones it needs does not make it right.
  const both = Buffer.concat([bytes, Buffer.from(`${line(fresh, ofOld)}\n`)])
  expect(() => planAdding(both, old, fresh, [])).toThrow('the new key is there already')
})

test('options that are no UTF-8 can’t be carried over, and are not guessed', () => {
  const bytes = Buffer.from(`environment="A=\xe9" ${line(old)}\n`, 'latin1')
  expect(() => planAdding(bytes, old, fresh, [])).toThrow(expect.objectContaining({ code: 'damaged' }))
})

test('lines without end are nobody’s: refused before anything is written down', () => {
  const many = Buffer.from(`${line(old)}\n`.repeat(257))
  const long = Buffer.from(`${line(old)} ${'x'.repeat(65_536)}\n`)
  for (const bytes of [many, long]) {
    expect(() => planAdding(bytes, old, fresh, [])).toThrow(expect.objectContaining({ code: 'unsupported' }))
  }
})

test('UTF-16 is left alone', () => {
  const bytes = Buffer.from(`\ufeff${line(old)}\n`, 'utf16le')
  expect(() => planAdding(bytes, old, fresh, [])).toThrow(expect.objectContaining({ code: 'damaged' }))
})

describe('others write the file meanwhile', () => {
  const removedWith = (edit: (text: string) => string) => {
    const before = Buffer.from(`${line(other)}\n# old one's\n${line(old, 'no-pty')}\n# end\n`)
    const plan = planAdding(before, old, fresh, [])
    const bytes = Buffer.from(edit(withoutKey(plan.after ?? before, old)?.toString() ?? ''))
    const restored = withOldLines(bytes, old, plan.old, plan.added) ?? bytes
    return (withoutAdded(restored, fresh, plan.added, plan.old) ?? restored).toString()
  }

  test('lines before it: it comes back below the line it stood below', () => {
    expect(removedWith(text => `# a\n# b\n# c\n${text}`)).toBe(
      `# a\n# b\n# c\n${line(other)}\n# old one's\n${line(old, 'no-pty')}\n# end\n`,
    )
  })

  test('that line is gone: by its number; all is gone: alone', () => {
    expect(removedWith(text => text.replace("# old one's\n", ''))).toBe(
      `${line(other)}\n# end\n${line(old, 'no-pty')}\n`,
    )
    expect(removedWith(() => '')).toBe(`${line(old, 'no-pty')}\n`)
  })

  test('the last line lost its end: nothing is glued to it', () => {
    expect(removedWith(text => text.trimEnd().replace("# old one's\n", ''))).toBe(
      `${line(other)}\n# end\n${line(old, 'no-pty')}\n`,
    )
  })

  test('the old key is back with other options: refused, neither widened nor doubled', () => {
    expect(() => removedWith(text => `${text}${line(old, 'restrict')}\n`)).toThrow('the old key is there again')
  })

  test('another line of the new key stays', () => {
    const mine = line(fresh.withComment('put by hand'))
    expect(removedWith(text => `${text}${mine}\n`)).toContain(`# end\n${mine}\n`)
  })
})
