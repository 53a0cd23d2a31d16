import { generate, KeytoolError, keyFormats, type PrivateKey, type WriteOptions } from '@keytool/keygen'
import type { Use } from '../src/gates/gate.js'
import { SealedKey } from '../src/sealed.js'
import {
  createUnsealing,
  type Openable,
  type StoredPassphrases,
  type UnsealingOptions,
} from '../src/unlock/unsealing.js'

const RIGHT = 'open sesame'
const CHEAP: WriteOptions = { rounds: 1, argon2: { memory: 64, passes: 1 } }
let key: PrivateKey
let bytes: Buffer

beforeAll(async () => {
  key = await generate('ed25519', { comment: 'id_work' })
  bytes = await write('openssh')
})

async function write(
  name: string,
  options: WriteOptions = { passphrase: Buffer.from(RIGHT) },
  what = key,
): Promise<Buffer> {
  const written = await keyFormats.find(format => format.name === name)?.write?.(what, { ...CHEAP, ...options })
  if (!written) throw new Error(`${name} is not written`)
  return written
}

describe('a sealed key', () => {
  test.each(['openssh', 'ppk3', 'ppk2'])('%s: shows its public half, and opens to the same key', async name => {
    const written = await write(name)
    const sealed = await SealedKey.read(written, { comment: 'id_file' })
    written.fill(0)
    expect(sealed.identity.blob).toEqual(key.publicKey.blob)
    expect(sealed.identity.comment).toBe(name === 'openssh' ? 'id_file' : 'id_work')
    expect(sealed.format).toBe(name)
    const open = await sealed.open(Buffer.from(RIGHT))
    expect(open.parts).toEqual(key.parts)
    expect(open.comment).toBe('id_work')
    await expect(sealed.open(Buffer.from('wrong'))).rejects.toMatchObject({ code: 'secret-wrong' })
    expect((await sealed.open(Buffer.from(RIGHT))).parts).toEqual(key.parts)
  })

  test.each(['openssh', 'ppk3', 'ppk2'])('%s: what is not encrypted is refused', async name => {
    const written = await write(name, {})
    await expect(SealedKey.read(written)).rejects.toMatchObject({
      code: 'unsupported',
      message: 'the key is not encrypted',
    })
  })

  test.each(['pkcs8', 'pem'])('%s: hides its public half, so it is refused with the reason', async name => {
    const rsa = await generate('rsa', { bits: 2048 })
    const written = await write(name, { passphrase: Buffer.from(RIGHT) }, rsa)
    await expect(SealedKey.read(written)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringMatching(/hide their public half$/),
      reason: expect.stringMatching(/OpenSSH or PPK/),
    })
  })

  test('what would cost too much to open is refused before it is held', async () => {
    const limits = (await import('@keytool/keygen')).defaultLimits
    const dear = await write('openssh', { passphrase: Buffer.from(RIGHT), rounds: 3 })
    await expect(SealedKey.read(dear, { limits: { ...limits, bcryptRounds: 2 } })).rejects.toMatchObject({
      code: 'unsupported',
      message: 'opening the key would cost too much',
    })
    const memory = await write('ppk3')
    await expect(SealedKey.read(memory, { limits: { ...limits, argon2Memory: 63 } })).rejects.toMatchObject({
      code: 'unsupported',
    })
    expect((await SealedKey.read(dear)).kdf).toEqual({ name: 'bcrypt', rounds: 3 })
  })

  test('a file that shows another public half is damaged', async () => {
    const other = await generate('ed25519')
    const text = bytes.toString('latin1').replace(/-----[^-]+-----|\s/g, '')
    const decoded = Buffer.from(text, 'base64')
    const at = decoded.indexOf(key.publicKey.blob)
    other.publicKey.blob.copy(decoded, at)
    const forged = `-----BEGIN OPENSSH PRIVATE KEY-----\n${decoded.toString('base64').replace(/.{70}/g, '$&\n')}\n-----END OPENSSH PRIVATE KEY-----\n`
    const sealed = await SealedKey.read(Buffer.from(forged))
    expect(sealed.identity.blob).toEqual(other.publicKey.blob)
    await expect(sealed.open(Buffer.from(RIGHT))).rejects.toMatchObject({ code: 'damaged' })
  })

  test('nothing, nonsense and half a file are refused', async () => {
    await expect(SealedKey.read(Buffer.alloc(0))).rejects.toMatchObject({ code: 'damaged' })
    await expect(SealedKey.read(Buffer.from('hello'))).rejects.toMatchObject({ code: 'damaged' })
    await expect(SealedKey.read(bytes.subarray(0, bytes.length / 2))).rejects.toMatchObject({ code: 'damaged' })
  })

  test('has no text form', async () => {
    const sealed = await SealedKey.read(bytes)
    expect(JSON.stringify(sealed)).toBe('{"format":"openssh"}')
  })
})

/** An askpass that is answered by the test. */
class Asked {
  readonly questions: { text: string; signal: AbortSignal; answer(text: string): void; cancel(): void }[] = []
  /** What was handed out, to see that it is wiped. */
  readonly given: Buffer[] = []

  passphrase = (_by: unknown, text: string, signal: AbortSignal): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      const cancel = () => reject(new KeytoolError('cancelled', 'stopped at the prompt'))
      signal.addEventListener('abort', cancel)
      const answer = (text: string) => {
        const passphrase = Buffer.from(text)
        this.given.push(passphrase)
        resolve(passphrase)
      }
      this.questions.push({ text, signal, answer, cancel })
    })

  /** The question of that number, once it is asked. */
  async question(index: number) {
    for (let i = 0; i < 8000 && !this.questions[index]; i++) await new Promise(resolve => setTimeout(resolve, 2))
    const question = this.questions[index]
    if (!question) throw new Error('nobody was asked')
    return question
  }
}

function useOf(signal?: AbortSignal, pid = 4242): Use {
  const by = { peer: { programs: [{ pid, name: 'git' }] }, binding: { hops: [], failed: false } }
  const identity = { blob: key.publicKey.blob, comment: 'id_work' }
  return { action: 'sign', key: { identity, terms: {} }, by, purpose: { kind: 'unknown' }, ...(signal && { signal }) }
}

async function setUp(more: Partial<UnsealingOptions> = {}) {
  const asked = new Asked()
  const time = { now: 0 }
  const unsealing = createUnsealing({ prompts: asked, names: () => [], clock: () => time.now, ...more })
  const opened: PrivateKey[] = []
  const held: Openable = {
    identity: { blob: key.publicKey.blob, comment: 'id_work' },
    sealed: await SealedKey.read(bytes),
    open: open => void opened.push(open),
  }
  const open = (signal?: AbortSignal) => unsealing.open(held, useOf(signal))
  return { asked, time, unsealing, held, opened, open }
}

const refused = { code: 'refused', message: 'id_work was not opened' }

describe('unsealing', () => {
  test('all who wait share one prompt, which names who wants it', async () => {
    const { asked, opened, open } = await setUp()
    const all = Array.from({ length: 20 }, () => open())
    const question = await asked.question(0)
    expect(question.text).toMatch(/^git \(pid 4242\) wants id_work to sign .*\nkey SHA256:\S+\npassphrase for id_work$/)
    question.answer(RIGHT)
    await Promise.all(all)
    expect(asked.questions).toHaveLength(1)
    expect(opened).toHaveLength(1)
    expect(opened[0]?.parts).toEqual(key.parts)
    expect(asked.given.every(given => given.every(byte => byte === 0))).toBe(true)
  })

  test('three tries, then all are refused', async () => {
    const { asked, opened, open } = await setUp()
    const all = Promise.allSettled([open(), open()])
    const texts: (string | undefined)[] = []
    for (const index of [0, 1, 2]) {
      const question = await asked.question(index)
      texts.push(question.text.split('\n')[0])
      question.answer('wrong')
    }
    const reason = expect.objectContaining({ ...refused, reason: 'the passphrase was wrong 3 times' })
    expect(await all).toEqual(new Array(2).fill({ status: 'rejected', reason }))
    expect(texts.slice(1)).toEqual(['wrong passphrase, 2 tries left', 'wrong passphrase, one try left'])
    expect(opened).toEqual([])
    expect(asked.given.every(given => given.every(byte => byte === 0))).toBe(true)
  })

  test('the third try may be the right one', async () => {
    const { asked, opened, open } = await setUp()
    const done = open()
    for (const [index, text] of ['wrong', 'wrong', RIGHT].entries()) (await asked.question(index)).answer(text)
    await done
    expect(opened).toHaveLength(1)
  })

  test('a waiting one may leave; the prompt goes with the last', async () => {
    const { asked, open } = await setUp()
    const [one, two] = [new AbortController(), new AbortController()]
    const first = open(one.signal)
    const second = open(two.signal)
    const question = await asked.question(0)
    one.abort()
    await expect(first).rejects.toMatchObject({ code: 'cancelled' })
    expect(question.signal.aborted).toBe(false)
    two.abort()
    await expect(second).rejects.toMatchObject({ code: 'cancelled' })
    expect(question.signal.aborted).toBe(true)
  })

  test('who leaves before anything began is not asked for', async () => {
    const { asked, open } = await setUp()
    await expect(open(AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' })
    expect(asked.questions).toEqual([])
  })

  test('a key that nobody waits for any more is wiped, not held', async () => {
    const { asked, opened, open, held } = await setUp()
    const leaver = new AbortController()
    const results: PrivateKey[] = []
    const { sealed } = held
    if (!sealed) throw new Error('no key')
    const plainOpen = sealed.open.bind(sealed)
    sealed.open = async passphrase => {
      const open = await plainOpen(passphrase)
      results.push(open)
      leaver.abort()
      return open
    }
    const waiting = open(leaver.signal)
    ;(await asked.question(0)).answer(RIGHT)
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' })
    await new Promise(resolve => setTimeout(resolve, 20))
    expect(opened).toEqual([])
    expect(results).toHaveLength(1)
    expect(results.every(({ parts }) => Object.values(parts).every(part => part.every(byte => byte === 0)))).toBe(true)
  })

  test('a passphrase from elsewhere opens for all who wait, and withdraws their prompt', async () => {
    const { asked, opened, open, unsealing, held } = await setUp()
    const all = [open(), open()]
    const question = await asked.question(0)
    await expect(unsealing.offer(held, Buffer.from('wrong'))).rejects.toMatchObject({ code: 'secret-wrong' })
    expect(question.signal.aborted).toBe(false)
    await unsealing.offer(held, Buffer.from(RIGHT))
    await Promise.all(all)
    expect(question.signal.aborted).toBe(true)
    expect(opened).toHaveLength(1)
  })

  test('a passphrase from elsewhere needs nobody who waits', async () => {
    const { asked, opened, unsealing, held } = await setUp()
    await unsealing.offer(held, Buffer.from(RIGHT))
    expect([opened.length, asked.questions.length]).toEqual([1, 0])
  })

  test('no refuses all; who tries again is refused unasked for a while that grows', async () => {
    const { asked, time, open } = await setUp()
    const all = Promise.allSettled([open(), open()])
    ;(await asked.question(0)).cancel()
    const reason = expect.objectContaining({ ...refused, reason: 'stopped at the prompt' })
    expect(await all).toEqual(new Array(2).fill({ status: 'rejected', reason }))
    const waits = [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]
    for (const [index, wait] of waits.entries()) {
      time.now += wait - 1
      await expect(open()).rejects.toMatchObject({
        ...refused,
        reason: expect.stringMatching(/asked for it a moment ago/),
      })
      expect(asked.questions).toHaveLength(index + 1)
      time.now += 1
      const again = open()
      ;(await asked.question(index + 1)).answer('')
      await expect(again).rejects.toMatchObject({ ...refused, reason: 'the passphrase was left empty' })
    }
    // Long after, it is as if nothing had been.
    time.now += 5 * 60_000
    const [last, next] = [open(), waits.length + 1]
    ;(await asked.question(next)).cancel()
    await expect(last).rejects.toMatchObject(refused)
    time.now += 1000
    const right = open()
    ;(await asked.question(next + 1)).answer(RIGHT)
    await right
  })

  test('a client that comes and goes does not make prompts flicker', async () => {
    const { asked, open } = await setUp()
    const leaver = new AbortController()
    const first = open(leaver.signal)
    await asked.question(0)
    leaver.abort()
    await expect(first).rejects.toMatchObject({ code: 'cancelled' })
    await expect(open()).rejects.toMatchObject(refused)
    expect(asked.questions).toHaveLength(1)
  })

  test('and keeps nobody else from being asked', async () => {
    const { asked, unsealing, held } = await setUp()
    const by = (pid: number, signal?: AbortSignal) => unsealing.open(held, useOf(signal, pid))
    const leaver = new AbortController()
    const first = by(7, leaver.signal)
    await asked.question(0)
    leaver.abort()
    await expect(first).rejects.toMatchObject({ code: 'cancelled' })
    await expect(by(7)).rejects.toMatchObject(refused)
    const other = by(8)
    ;(await asked.question(1)).answer(RIGHT)
    await other
  })

  test('what is offered opens during that time, and ends it', async () => {
    const { asked, open, unsealing, held, opened } = await setUp()
    const first = open()
    ;(await asked.question(0)).cancel()
    await expect(first).rejects.toMatchObject(refused)
    await unsealing.offer(held, Buffer.from(RIGHT))
    const again = open()
    ;(await asked.question(1)).answer(RIGHT)
    await again
    expect(opened).toHaveLength(2)
  })

  test('where nobody can be asked, that is the reason, and the next one may try at once', async () => {
    let count = 0
    const prompts = {
      async passphrase(): Promise<Buffer> {
        count++
        throw new KeytoolError('refused', 'nobody can be asked')
      },
    }
    const { open } = await setUp({ prompts })
    await expect(open()).rejects.toMatchObject({ code: 'refused', message: 'nobody can be asked' })
    await expect(open()).rejects.toMatchObject({ code: 'refused', message: 'nobody can be asked' })
    expect(count).toBe(2)
  })

  /** What is stored: each answer once, the last one again and again. */
  function storing(...answers: (() => Promise<Buffer | undefined>)[]) {
    const seen: string[] = []
    const given: Buffer[] = []
    const stored: StoredPassphrases = {
      async find() {
        seen.push('find')
        const found = await (answers.length > 1 ? answers.shift() : answers[0])?.()
        if (found) given.push(found)
        return found
      },
      tried: (_key, passphrase, fits) => void seen.push(`tried ${Buffer.from(passphrase)} ${fits}`),
      keep: (_key, passphrase) => void seen.push(`keep ${Buffer.from(passphrase)}`),
    }
    return { stored, seen, given }
  }

  test('a stored passphrase spares the prompt, for all who wait', async () => {
    const { stored, seen, given } = storing(async () => Buffer.from(RIGHT))
    const { asked, open, opened } = await setUp({ stored })
    await Promise.all(Array.from({ length: 20 }, () => open()))
    expect([seen, asked.questions.length, opened.length]).toEqual([['find', `tried ${RIGHT} true`], 0, 1])
    expect(given.every(each => each.every(byte => byte === 0))).toBe(true)
  })

  test('one that does not fit is told of, and what fits is to be kept in its stead', async () => {
    const { stored, seen, given } = storing(async () => Buffer.from('old'))
    const { asked, open, opened } = await setUp({ stored })
    const done = open()
    const first = await asked.question(0)
    expect(first.text).toMatch(/^the stored passphrase no longer fits\ngit .*\npassphrase for id_work$/s)
    first.answer('wrong')
    const second = await asked.question(1)
    expect(second.text).toMatch(/^wrong passphrase, 2 tries left\ngit /)
    second.answer(RIGHT)
    await done
    expect(seen).toEqual(['find', 'tried old false', `keep ${RIGHT}`])
    expect(opened).toHaveLength(1)
    expect(given.every(each => each.every(byte => byte === 0))).toBe(true)
  })

  test('why there is none stands in the question, and in the refusal where nobody can be asked', async () => {
    const locked = new KeytoolError('refused', 'the keychain is locked', { reason: 'as it is' })
    const { stored } = storing(() => Promise.reject(locked))
    const { asked, open } = await setUp({ stored })
    const done = open()
    const question = await asked.question(0)
    expect(question.text).toMatch(/^the keychain is locked\ngit /)
    question.answer(RIGHT)
    await done

    const passphrase = () =>
      Promise.reject(new KeytoolError('refused', 'nobody can be asked', { reason: 'there is no display' }))
    const { unsealing, held } = await setUp({ stored, prompts: { passphrase } })
    await expect(unsealing.open({ ...held, file: '/home/hana/id' }, useOf())).rejects.toMatchObject({
      code: 'refused',
      message: 'the keychain is locked, and nobody can be asked',
      reason: 'as it is; there is no display',
      hint: 'keytool unlock /home/hana/id',
    })
  })

  test('a key that is kept nowhere is asked for as ever, and so is one whose store is broken', async () => {
    for (const answer of [async () => undefined, () => Promise.reject(new Error('no'))]) {
      const { stored, seen } = storing(answer)
      const { asked, open } = await setUp({ stored })
      const done = open()
      const question = await asked.question(0)
      expect(question.text).toMatch(/^git /)
      question.answer(RIGHT)
      await done
      expect(seen).toEqual(['find', `keep ${RIGHT}`])
    }
  })

  test('who leaves while it is looked for is no reason to open or to ask', async () => {
    const leaver = new AbortController()
    const signals: AbortSignal[] = []
    const { stored } = storing(async () => Buffer.from(RIGHT))
    const find: StoredPassphrases['find'] = (key, signal) => {
      signals.push(signal)
      leaver.abort()
      return stored.find(key, signal)
    }
    const { asked, open, opened } = await setUp({ stored: { ...stored, find } })
    await expect(open(leaver.signal)).rejects.toMatchObject({ code: 'cancelled' })
    await new Promise(resolve => setTimeout(resolve, 20))
    expect([signals[0]?.aborted, asked.questions.length, opened.length]).toEqual([true, 0, 0])
  })

  test('what is offered meanwhile opens the key, and is to be kept', async () => {
    const { stored, seen } = storing(() => new Promise(() => undefined))
    const { asked, open, unsealing, held } = await setUp({ stored })
    const done = open()
    await unsealing.offer(held, Buffer.from(RIGHT))
    await done
    expect([seen, asked.questions.length]).toEqual([['find', `keep ${RIGHT}`], 0])
  })

  test('a key without an encrypted file is not asked for', async () => {
    const { asked, unsealing, held } = await setUp()
    const bare: Openable = { ...held, sealed: undefined }
    await expect(unsealing.open(bare, useOf())).rejects.toMatchObject({ code: 'refused' })
    expect(asked.questions).toEqual([])
  })
})
