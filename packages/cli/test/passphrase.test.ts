import { randomInt } from 'node:crypto'
import { PassThrough, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { jest } from '@jest/globals'
import { wordlist } from '@scure/bip39/wordlists/english.js'
import fc from 'fast-check'
import { describeForm, otherForms } from '../src/passphrase/forms.js'
import { afterwards, layOut, makePassphrasePrompt, type PassphraseQuestion } from '../src/passphrase/prompt.js'
import { describeTime, rateStrength, type Strength, warmUp } from '../src/passphrase/strength.js'
import { generatePassphrase } from '../src/passphrase/words.js'

const bytes = (text: string) => Buffer.from(text, 'utf8')

describe('strength', () => {
  test.each([
    ['', 'very weak', /words/],
    ['a', 'very weak', /words/],
    ['aaaaaaaa', 'very weak', /repetition/],
    ['password', 'very weak', /leaked/],
    ['qwertyuiop', 'very weak', /leaked/],
    ['p4$$w0rd', 'very weak', /leaked|tried/],
    ['hana2024', 'very weak', /names/],
    // Words and names of the English lists: without those lists they would count as random letters.
    ['kowalski', 'very weak', /names/],
    ['rumpelstiltskin', 'very weak', /words/],
    ['correct horse', 'weak', /words/],
    ['Summer2024!', 'weak', /close to a leaked/],
    ['Tr0ub4dor&3', 'fair', /tried|words/],
    ['zebra canyon', 'weak', /words/],
    ['8fjK2mQ9pWx4Tz7c', 'strong', undefined],
    ['correct horse battery staple', 'strong', undefined],
    ['glimpse-canyon-merit-wrist-abandon-zoo', 'very strong', undefined],
  ])('%p is %s', async (passphrase, label, advice) => {
    const strength = await rateStrength(passphrase)
    expect(strength?.label).toBe(label)
    if (advice) expect(strength?.advice).toMatch(advice)
    else expect(strength).not.toHaveProperty('advice')
  })

  test('what is generated is strong, each time', async () => {
    for (let i = 0; i < 20; i++) {
      const strength = await rateStrength((await generatePassphrase()).text)
      expect(strength?.score).toBeGreaterThanOrEqual(3)
      expect(strength?.crackTime).toBe('over a thousand years')
    }
  })

  test('what the file tells about itself is no secret', async () => {
    const passphrase = 'mailrelay7.zq'
    const unknowing = await rateStrength(passphrase)
    const knowing = await rateStrength(passphrase, ['hana', 'mailrelay7.zq'])
    expect(unknowing?.score).toBeGreaterThan(1)
    expect(knowing).toMatchObject({ label: 'very weak', advice: 'it is in what the file tells about itself' })
  })

  test('says nothing of what it was given', async () => {
    const strength = await rateStrength('hana-and-the-moon')
    expect(JSON.stringify(strength)).not.toMatch(/hana|moon/)
  })

  test('looks at the start of what is long only: all of it would take for ever', async () => {
    const start = 'a'.repeat(48)
    expect(await rateStrength(`${start}x7$Kq9!mZ2pWx4Tz7c`)).toEqual(await rateStrength(start))
    expect(await rateStrength('4@8({3690!|1x'.repeat(1000))).toMatchObject({ score: 4 })
  })

  test.each([
    [0, 'under a minute'],
    [59, 'under a minute'],
    [60, '1 minute'],
    [7200, '2 hours'],
    [86_400, '1 day'],
    [40 * 86_400, '1 month'],
    [365 * 86_400 * 10, '10 years'],
    [365 * 86_400 * 1001, 'over a thousand years'],
    [Number.POSITIVE_INFINITY, 'over a thousand years'],
  ])('%p seconds are %s', (seconds, text) => {
    expect(describeTime(seconds)).toBe(text)
  })

  test('without the library nothing is said, and nothing fails', async () => {
    jest.resetModules()
    jest.unstable_mockModule('@zxcvbn-ts/core', () => {
      throw new Error('gone')
    })
    const fresh = await import('../src/passphrase/strength.js')
    expect(await fresh.rateStrength('password')).toBeUndefined()
    fresh.warmUp()
    jest.unstable_unmockModule('@zxcvbn-ts/core')
    jest.resetModules()
  })

  test('warming up is in nobody’s way, however often', async () => {
    warmUp()
    warmUp()
    expect(await rateStrength('password')).toMatchObject({ score: 0 })
  })
})

describe('generated passphrases', () => {
  test('are words of the list, as many as asked for, with 11 bits each', async () => {
    const known = new Set(wordlist)
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 6, max: 24 }), async count => {
        const { text, bits } = await generatePassphrase(count)
        const words = text.split('-')
        expect(words).toHaveLength(count)
        expect(words.every(word => known.has(word))).toBe(true)
        expect(bits).toBe(11 * count)
      }),
      { numRuns: 50 },
    )
  })

  test('have six words by default, which are 66 bits', async () => {
    const { text, bits } = await generatePassphrase()
    expect(text).toMatch(/^[a-z]{3,8}(-[a-z]{3,8}){5}$/)
    expect(bits).toBe(66)
  })

  test('the list is what the bits are counted from', () => {
    expect(new Set(wordlist).size).toBe(2048)
    expect(wordlist.every(word => /^[a-z]{3,8}$/.test(word))).toBe(true)
  })

  test('each number drawn is a word of its own: the first, the last, the same again', async () => {
    const numbers = [0, 2047, 5, 5, 0, 1]
    const asked: number[] = []
    const { text } = await generatePassphrase(6, below => {
      asked.push(below)
      return numbers[asked.length - 1] ?? 0
    })
    expect(text).toBe(`${wordlist[0]}-${wordlist[2047]}-${wordlist[5]}-${wordlist[5]}-${wordlist[0]}-${wordlist[1]}`)
    expect(asked).toEqual([2048, 2048, 2048, 2048, 2048, 2048])
  })

  test.each([0, 1, 5, 25, 6.5, Number.NaN, Number.POSITIVE_INFINITY])('%p words are refused', async count => {
    await expect(generatePassphrase(count, randomInt)).rejects.toMatchObject({ code: 'usage' })
  })
})

describe('other Unicode forms', () => {
  test.each([
    ['café in NFC', 'caf\u00e9', ['cafe\u0301']],
    ['café in NFD', 'cafe\u0301', ['caf\u00e9']],
    ['one of each', '\u00e9e\u0301', ['\u00e9\u00e9', 'e\u0301e\u0301']],
    ['Hangul', '\ud55c', ['\u1112\u1161\u11ab']],
    ['Cyrillic й', '\u0439', ['\u0438\u0306']],
    ['kana with a voicing mark', '\u30ac', ['\u30ab\u3099']],
    ['the Angstrom sign, which is in neither', '\u212b', ['\u00c5', 'A\u030a']],
    ['two marks in the wrong order', 'a\u0301\u0323', ['\u1ea1\u0301', 'a\u0323\u0301']],
    ['a ligature: NFKC would make another text of it', '\ufb01', []],
    ['letters that have one form', 'жщъ', []],
    ['ASCII', 'correct horse\r ', []],
    ['nothing', '', []],
  ])('%s', (_, given, others) => {
    expect(otherForms(bytes(given)).map(form => form.toString('utf8'))).toEqual(others)
  })

  test('a byte order mark, blanks and a line end stay what they are', () => {
    expect(otherForms(bytes('\ufeff\u00e9 \r'))).toEqual([bytes('\ufeffe\u0301 \r')])
  })

  test.each([
    ['Latin-1', [0x63, 0x61, 0x66, 0xe9]],
    ['cut', [0xc3]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['an overlong slash', [0xc0, 0xaf]],
  ])('none for what is no UTF-8: %s', (_, given) => {
    expect(otherForms(Uint8Array.from(given))).toEqual([])
  })

  test('bytes of any kind: never an error', () => {
    fc.assert(fc.property(fc.uint8Array(), given => void expect(otherForms(given).length).toBeLessThanOrEqual(2)))
  })

  test('the form that opened is named', () => {
    expect(describeForm(bytes('cafe\u0301'))).toMatch(/^opens with the same passphrase in another Unicode form \(NFD: /)
    expect(describeForm(bytes('caf\u00e9'))).toMatch(/^opens with the same passphrase in another Unicode form \(NFC: /)
    expect(describeForm(Buffer.from([0xe9]))).toBe('opens with the same passphrase in another Unicode form')
  })
})

const strong: Strength = { label: 'strong', score: 3, crackTime: '300 years' }

describe('the line of the question', () => {
  const before = '? passphrase for ~/.ssh/id '

  test.each([
    ['nothing typed', '', 0, '', '', 27],
    ['at the end', 'abcd', 4, 'weak', '••••  weak', 31],
    ['in the middle', 'abcd', 1, 'weak', '••••  weak', 28],
    ['no word yet', 'abcd', 4, '', '••••', 31],
    ['wide letters and emoji are a bullet each', 'スパ\u{1f600}', 4, 'weak', '•••  weak', 30],
    ['before an emoji', 'a\u{1f600}', 1, '', '••', 28],
  ])('%s', (_, typed, cursor, word, after, column) => {
    expect(layOut(before, typed, cursor, word)).toEqual({ line: before + after, below: '', column })
  })

  test('colours take no room', () => {
    const bold = `\u001b[1m${before}\u001b[22m`
    const word = '\u001b[31mweak\u001b[0m'
    expect(layOut(bold, 'abcd', 4, word)).toEqual({ line: `${bold}••••  ${word}`, below: '', column: 31 })
  })

  test('without room for it in the row, the word stands below', () => {
    expect(layOut(before, 'abcd', 4, 'weak', 38)).toMatchObject({ below: '', column: 31 })
    expect(layOut(before, 'abcd', 4, 'weak', 37)).toEqual({ line: `${before}••••`, below: 'weak' })
  })

  test('a question whose columns can not be counted keeps the word below', () => {
    expect(layOut('? 鍵 ', 'abcd', 4, 'weak')).toEqual({ line: '? 鍵 ••••', below: 'weak' })
  })

  test('what stays has one length, whatever was typed', () => {
    expect(afterwards('a')).toEqual(['••••••••••••', 12])
    expect(afterwards('a'.repeat(300))).toEqual(afterwards('a'))
    expect(afterwards('')).toEqual(['', 0])
  })
})

describe('the prompt', () => {
  /** Somebody at a prompt, without a terminal. */
  async function ask(question: Partial<PassphraseQuestion> = {}) {
    const input = new PassThrough()
    const written: string[] = []
    const output = new Writable({
      write(chunk, _, done) {
        written.push(String(chunk))
        done()
      },
    })
    const prompt = await makePassphrasePrompt()
    const answer = prompt({ message: 'passphrase', theme: { prefix: '?' }, ...question }, { input, output })
    return {
      type: async (keys: string) => {
        input.write(keys)
        await sleep(20)
      },
      answer,
      transcript: () => written.join(''),
    }
  }

  test.each([
    ['one by one', ['a', 'b', 'c', '\r'], 'abc'],
    ['pasted, with the line end', ['correct horse\r'], 'correct horse'],
    ['UTF-8', ['жщъ-ŵẑ\u{1f600}', '\r'], 'жщъ-ŵẑ\u{1f600}'],
    ['Backspace', ['abcx', '\u007f', 'd\u{1f600}', '\u007f', '\r'], 'abcd'],
    ['Left, then typed', ['ac', '\u001b[D', 'b', '\r'], 'abc'],
    ['Ctrl-U', ['wrong', '\u0015', 'right', '\r'], 'right'],
    ['Ctrl-T', ['abc', '\u0014', 'd', '\u0014', '\r'], 'abcd'],
    ['nothing', ['\r'], ''],
  ])('%s', async (_, keys, expected) => {
    const on = await ask()
    for (const each of keys) await on.type(each)
    expect(await on.answer).toBe(expected)
    expect(on.transcript()).not.toMatch(/abc|correct|right|wrong|ж|щ|ъ|ŵ|ẑ|\u{1f600}/u)
  })

  test('the word follows a pause, once for what was typed by then', async () => {
    const rated: string[] = []
    const on = await ask({
      rate: async passphrase => {
        rated.push(passphrase)
        return strong
      },
      pause: 1_500,
    })
    for (const key of ['q', 'w', 'e', 'r']) await on.type(key)
    expect(rated).toEqual([])
    for (let tries = 0; tries < 500 && !on.transcript().includes('••••  strong'); tries++) await sleep(20)
    expect(on.transcript()).toContain('••••  strong')
    expect(rated).toEqual(['qwer'])
    await on.type('\r')
    expect(await on.answer).toBe('qwer')
    expect(on.transcript()).toMatch(/ •{12} {2}strong\S*\n/)
  })

  test('an answer that came before its rating has none', async () => {
    const on = await ask({ rate: async () => strong })
    await on.type('qwer')
    await sleep(150)
    await on.type('ty\r')
    expect(await on.answer).toBe('qwerty')
    expect(on.transcript()).toMatch(/ •{12}\p{Cc}\S*\n/u)
    expect(on.transcript()).not.toMatch(/•••••••••••• {2}strong/)
  })

  test('nothing typed any more, nothing said any more', async () => {
    const on = await ask({ rate: async () => strong })
    await on.type('q')
    await sleep(150)
    const before = on.transcript().length
    await on.type('\u007f')
    await sleep(150)
    expect(on.transcript().slice(before)).not.toContain('strong')
    await on.type('\r')
    expect(await on.answer).toBe('')
  })

  test('a meter that says nothing, or fails, changes nothing', async () => {
    for (const rate of [async () => undefined, () => Promise.reject(new Error('broken'))]) {
      const on = await ask({ rate })
      await on.type('qwer')
      await sleep(150)
      await on.type('\r')
      expect(await on.answer).toBe('qwer')
    }
  })

  test('a rating that never ends holds up nobody', async () => {
    const on = await ask({ rate: () => new Promise(() => {}) })
    await on.type('qwer')
    await sleep(150)
    await on.type('ty\r')
    expect(await on.answer).toBe('qwerty')
  })

  test('Ctrl-C leaves', async () => {
    const on = await ask({ rate: async () => strong })
    const left = expect(on.answer).rejects.toMatchObject({ name: 'ExitPromptError' })
    await on.type('qwer\u0003')
    await left
  })
})
