import { wordlist } from '@scure/bip39/wordlists/english.js'
import fc from 'fast-check'
import { otherForms } from '../src/passphrase/forms.js'
import { generatePassphrase } from '../src/passphrase/words.js'

const bytes = (text: string) => Buffer.from(text, 'utf8')

describe('generated passphrases', () => {
  test('every word is as likely as the others, and no passphrase comes twice', async () => {
    const counts = new Map<string, number>()
    const seen = new Set<string>()
    const rounds = 1000
    for (let i = 0; i < rounds; i++) {
      const { text } = await generatePassphrase(24)
      seen.add(text)
      for (const word of text.split('-')) counts.set(word, (counts.get(word) ?? 0) + 1)
    }
    expect(seen.size).toBe(rounds)
    const expected = (rounds * 24) / wordlist.length
    const chiSquared = wordlist.reduce((sum, word) => sum + ((counts.get(word) ?? 0) - expected) ** 2 / expected, 0)
    // 2047 degrees of freedom: 64 is one standard deviation. Eight of them do not happen.
    expect(Math.abs(chiSquared - 2047)).toBeLessThan(8 * 64)
  })
})

describe('other Unicode forms', () => {
  test('any text: at most two, none of them given, all of them the same text, and each leads to the others', () => {
    const pieces = fc.constantFrom(
      'e',
      '\u00e9',
      '\u0301',
      '\u0323',
      '\u212b',
      '\uac01',
      '\u11a8',
      'x',
      '\u{1d15e}',
      '\ufb01',
    )
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: pieces }), fc.string({ unit: 'binary' })), text => {
        const given = bytes(text)
        const others = otherForms(given)
        expect(others.length).toBeLessThanOrEqual(2)
        for (const form of others) {
          expect(form.equals(given)).toBe(false)
          const spelt = form.toString('utf8')
          expect(spelt.normalize('NFC')).toBe(text.normalize('NFC'))
          // What it leads to: the other normal form, never one that this did not lead to.
          for (const again of otherForms(form)) {
            expect([...others, given].some(each => each.equals(again))).toBe(true)
          }
        }
      }),
    )
  })
})
