import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { ciphers, decrypt, encrypt } from '../src/protect/ciphers.js'

// Nothing of what is decrypted stays where nobody can wipe it.

const lengths = [16, 48, 160, 272, 1040, 4096, 70_000]

test.each(ciphers)('$name: decrypts what node encrypts, whatever the length', cipher => {
  for (const blocks of [0, 1, 2, 3, 17, 64, 65, 300]) {
    const plain = randomBytes(blocks * cipher.block)
    const secret = randomBytes(cipher.key + cipher.iv)
    const sealed = encrypt(cipher, secret, plain)
    expect(decrypt(cipher, secret, sealed).equals(plain)).toBe(true)
    if (cipher.tag === 0) continue
    for (const at of [0, sealed.length - 1]) {
      const altered = Buffer.from(sealed)
      altered[at] = (altered[at] ?? 0) ^ 1
      expect(() => decrypt(cipher, secret, altered)).toThrow('wrong passphrase')
    }
  }
})

const onLinux = process.platform === 'linux' ? describe : describe.skip
onLinux('in the memory of this process', () => {
  /** Not as they are searched for: one a cipher, and one that is left on purpose. */
  const hidden = [...ciphers.map(() => 0), 0].map(() => randomBytes(32))

  /** Made in place, and not in a small buffer, which V8 keeps where it moves things: that would leave copies, too. */
  function reveal(index: number, into = Buffer.alloc(4096).subarray(0, 32)): Buffer {
    const from = hidden[index] ?? Buffer.alloc(0)
    for (let i = 0; i < from.length; i++) into[i] = (from[i] ?? 0) ^ 0x5a
    return into
  }

  function textOf(index: number, length: number): Buffer {
    const text = Buffer.alloc(length)
    for (let at = 0; at + 32 <= length; at += 48) reveal(index, text.subarray(at, at + 32))
    return text
  }

  test('no copy is left of what was decrypted; what is left is found', async () => {
    for (const [index, cipher] of ciphers.entries()) {
      const secret = randomBytes(cipher.key + cipher.iv)
      const sealed = lengths.map(length => {
        const text = textOf(index, length)
        const done = encrypt(cipher, secret, text)
        text.fill(0)
        return done
      })
      for (let round = 0; round < 20; round++) for (const each of sealed) decrypt(cipher, secret, each).fill(0)
    }
    const left = textOf(ciphers.length, 160)
    const needles = hidden.map((_, index) => reveal(index))
    const counts = await count(needles)
    // Each is there once for being searched for.
    expect(ciphers.map(({ name }, i) => `${name} ${counts[i]}`)).toEqual(ciphers.map(({ name }) => `${name} 1`))
    expect(counts.at(-1)).toBe(1 + 3)
    left.fill(0)
  })
})

const PAGE = 4096
/** Of the page before, too little for a whole one. */
const TAIL = 31

/**
 * How often each of these stands in what this process may write to. Page by page, into a place that is wiped before: it is part
 * of that memory, too, and would be found in itself with all that was read into it.
 */
async function count(needles: readonly Buffer[]): Promise<number[]> {
  const place = Buffer.alloc(TAIL + PAGE)
  const memory = openSync('/proc/self/mem', 'r')
  const found = needles.map(() => 0)
  try {
    for (const line of (await readFile('/proc/self/maps', 'latin1')).split('\n')) {
      const [, from = '', to = ''] = /^([\da-f]+)-([\da-f]+) rw/.exec(line) ?? []
      const end = Number.parseInt(to, 16)
      place.fill(0)
      for (let at = Number.parseInt(from, 16); at < end; at += PAGE) {
        place.copyWithin(0, PAGE)
        place.fill(0, TAIL)
        if (!readPage(memory, place, at)) continue
        for (const [index, needle] of needles.entries()) {
          for (let i = place.indexOf(needle); i >= 0; i = place.indexOf(needle, i + 1)) {
            found[index] = (found[index] ?? 0) + 1
          }
        }
      }
    }
  } finally {
    place.fill(0)
    closeSync(memory)
  }
  return found
}

/** Whether there is such a page to be read. */
function readPage(memory: number, place: Buffer, at: number): boolean {
  try {
    return readSync(memory, place, TAIL, PAGE, at) === PAGE
  } catch {
    return false
  }
}
