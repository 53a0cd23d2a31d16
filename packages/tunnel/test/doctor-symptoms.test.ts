import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { generate, KeytoolError, type PublicKey } from '@keytool/keygen'
import type { Clues } from '../src/doctor/cause.js'
import { type Cause, causes } from '../src/doctor/causes.js'
import { diagnose } from '../src/doctor/diagnosis.js'
import { channelRefusalOf, farewellOf, systemCodeOf } from '../src/doctor/facts.js'
import { type KeyTry, MAX_HEARD, type Observed } from '../src/doctor/observed.js'
import { judge } from '../src/doctor/symptoms.js'
import { watchStream } from '../src/doctor/watched-stream.js'

// From what is seen of an attempt to its cause. Real servers with each fault are in test/doctor-way and test/doctor-login.

let key: PublicKey

beforeAll(async () => {
  key = (await generate('ed25519')).publicKey
})

const error = (code: KeytoolError['code'], cause?: unknown) => new KeytoolError(code, 'retold', { cause })
/** As deep as errors are retold on their way up. */
const system = (code: string) => error('unreachable', error('unreachable', Object.assign(new Error(code), { code })))
const said = (text: string) => error('secret-wrong', Object.assign(new Error(text), { code: 2 }))
const hop = (reason: number, text: string) =>
  error('unreachable', error('refused', Object.assign(new Error(text), { reason })))
const offered = (more: Partial<KeyTry> = {}): KeyTry => ({ key, taken: false, signed: false, ...more })

const nothing: Observed = { by: 'socket', dialled: false, heard: '', closedThere: false, proved: false, usesKeys: true }
const dialled = { ...nothing, dialled: true }
const greeted = { ...dialled, heard: 'SSH-2.0-OpenSSH_9.2p1\r\n' }
const proved = { ...greeted, proved: true }

describe('each symptom has its cause', () => {
  test.each<[Cause, () => Observed]>([
    ['forward-denied', () => ({ ...nothing, by: 'hop', error: hop(1, 'administratively prohibited') })],
    ['refused', () => ({ ...nothing, by: 'hop', error: hop(2, 'Connection refused') })],
    ['dns', () => ({ ...nothing, by: 'hop', error: hop(2, 'Name or service not known') })],
    ['timeout', () => ({ ...nothing, by: 'hop', error: hop(2, 'Connection timed out') })],
    ['timeout', () => ({ ...nothing, by: 'hop', error: error('unreachable') })],
    ['unreachable', () => ({ ...nothing, by: 'hop', error: hop(2, 'No route to host') })],
    ['dns', () => ({ ...nothing, error: system('ENOTFOUND') })],
    ['dns', () => ({ ...nothing, error: system('EAI_AGAIN') })],
    ['refused', () => ({ ...nothing, error: system('ECONNREFUSED') })],
    ['timeout', () => ({ ...nothing, error: system('ETIMEDOUT') })],
    ['hung-up', () => ({ ...nothing, error: system('ECONNRESET') })],
    ['unreachable', () => ({ ...nothing, error: system('ENETUNREACH') })],
    ['proxy-command', () => ({ ...nothing, by: 'program', error: error('failed') })],
    ['settings', () => ({ ...nothing, error: error('unsupported') })],
    ['server-busy', () => ({ ...dialled, heard: 'Exceeded MaxStartups\r\n', error: error('damaged') })],
    ['locked-out', () => ({ ...dialled, heard: 'Not allowed at this time\r\n', error: error('damaged') })],
    ['not-ssh', () => ({ ...dialled, heard: '220 mail ESMTP\r\n', error: error('damaged') })],
    ['proxy-command', () => ({ ...dialled, by: 'program', closedThere: true, error: error('unreachable') })],
    ['hung-up', () => ({ ...dialled, closedThere: true, error: error('unreachable') })],
    ['timeout', () => ({ ...dialled, error: error('unreachable') })],
    ['host-key-unknown', () => ({ ...greeted, error: error('host-key-unknown') })],
    ['host-key-changed', () => ({ ...greeted, error: error('host-key-changed') })],
    ['no-common-algorithm', () => ({ ...greeted, error: error('unsupported') })],
    ['host-key-refused', () => ({ ...greeted, error: error('refused') })],
    ['hung-up', () => ({ ...greeted, closedThere: true, error: error('unreachable') })],
    ['timeout', () => ({ ...greeted, error: error('unreachable') })],
    ['protocol', () => ({ ...greeted, error: error('damaged') })],
    ['key-not-offered', () => ({ ...proved, usesKeys: false, error: error('secret-needed') })],
    ['key-sealed', () => ({ ...proved, keysError: error('secret-needed'), error: error('secret-needed') })],
    ['key-damaged', () => ({ ...proved, keysError: error('damaged'), error: error('damaged') })],
    ['agent-locked', () => ({ ...proved, keys: [], agent: 'locked', error: error('secret-needed') })],
    ['agent-missing', () => ({ ...proved, keys: [], agent: 'missing', error: error('secret-needed') })],
    ['agent-empty', () => ({ ...proved, keys: [], agent: 'empty', error: error('secret-needed') })],
    ['key-not-offered', () => ({ ...proved, keys: [], agent: 'holds', error: error('secret-needed') })],
    ['key-not-offered', () => ({ ...proved, keys: [], agent: 'forbidden', error: error('secret-needed') })],
    [
      'agent-missing',
      () => ({ ...proved, keysError: error('not-found'), agent: 'missing', error: error('not-found') }),
    ],
    [
      'key-sealed',
      () => ({
        ...proved,
        keys: [offered({ taken: true, error: error('secret-needed') })],
        error: error('secret-needed'),
      }),
    ],
    [
      'agent-refuses',
      () => ({ ...proved, keys: [offered({ taken: true, error: error('refused') })], error: error('refused') }),
    ],
    [
      'agent-missing',
      () => ({ ...proved, keys: [offered({ taken: true, error: error('unreachable') })], error: error('unreachable') }),
    ],
    [
      'key-missing',
      () => ({ ...proved, keys: [offered({ taken: true, error: error('not-found') })], error: error('not-found') }),
    ],
    [
      'key-damaged',
      () => ({ ...proved, keys: [offered({ taken: true, error: error('damaged') })], error: error('damaged') }),
    ],
    [
      'too-many-keys',
      () => ({ ...proved, keys: [offered(), offered()], error: said('Too many authentication failures') }),
    ],
    ['key-refused', () => ({ ...proved, keys: [offered()], error: said('Too many authentication failures') })],
    ['login-ended', () => ({ ...proved, keys: [offered(), offered()], error: said('Go away') })],
    ['no-common-algorithm', () => ({ ...proved, keys: [offered()], error: error('unsupported') })],
    ['hung-up', () => ({ ...proved, keys: [offered()], closedThere: true, error: error('unreachable') })],
    ['timeout', () => ({ ...proved, keys: [offered()], error: error('unreachable') })],
    ['protocol', () => ({ ...proved, keys: [offered()], error: error('damaged') })],
    ['password-only', () => ({ ...proved, error: error('secret-needed') })],
    [
      'second-factor',
      () => ({ ...proved, keys: [offered({ taken: true, signed: true })], error: error('secret-wrong') }),
    ],
    ['key-refused', () => ({ ...proved, keys: [offered()], error: error('secret-wrong') })],
    ['unknown', () => ({ ...proved, keys: [offered()], error: error('failed') })],
  ])('%s', (cause, seen) => {
    expect(judge(seen())).toBe(cause)
  })

  test.each([
    ['expired', 'certificate-expired'],
    ['not-yet', 'certificate-not-yet-valid'],
    ['principal', 'certificate-principal'],
    ['not-a-user', 'certificate-kind'],
  ] as const)('of a certificate: %s', (kind, cause) => {
    const seen: Observed = { ...proved, keys: [offered()], error: error('secret-wrong') }
    expect(judge(seen, kind)).toBe(cause)
    // One that was taken has nothing wrong with it.
    expect(judge({ ...seen, keys: [offered({ taken: true, signed: true })] }, kind)).toBe('second-factor')
  })

  test('none for who is in', () => {
    expect(judge(proved)).toBeUndefined()
  })
})

test('every cause has a sentence, and a remedy that is a command of one line', () => {
  const clues: Clues = {
    ...{ program: 'keytool', place: 'shop:22', account: 'hana@shop', user: 'hana', host: 'shop', again: 'hana@shop' },
  }
  for (const cause of Object.keys(causes) as Cause[]) {
    const { text, advice, remedy } = diagnose(cause, { ...clues, key: '~/.ssh/id', session: 'mail' }, [])
    for (const words of [text, advice, remedy, diagnose(cause, clues, []).remedy]) {
      expect(words).toMatch(/^\S.*[^\s.:]$/)
      expect(words).not.toMatch(/undefined|\n/)
    }
  }
})

describe('facts of an error, whoever retold it', () => {
  test('a system’s code, a server’s farewell, its refusal of a channel', () => {
    expect(systemCodeOf(system('ECONNREFUSED'))).toBe('ECONNREFUSED')
    expect(systemCodeOf(error('unreachable'))).toBeUndefined()
    expect(farewellOf(said('Go away'))).toBe('Go away')
    expect(farewellOf(system('ECONNREFUSED'))).toBeUndefined()
    expect(channelRefusalOf(hop(1, 'no'))).toEqual({ reason: 1, text: 'no' })
    expect(channelRefusalOf(error('refused'))).toBeUndefined()
  })

  test('a circle has an end', () => {
    const circle: { cause?: unknown } = {}
    circle.cause = circle
    expect(systemCodeOf(error('failed', circle))).toBeUndefined()
  })
})

describe('a stream that is watched', () => {
  const watch = () => {
    const inner = new PassThrough()
    const watcher = { heard: '', closedThere: false }
    return { inner, watcher, outer: watchStream(inner, watcher) }
  }

  test('carries all, keeps the beginning, and tells who ended it', async () => {
    const { inner, watcher, outer } = watch()
    const bytes = Buffer.alloc(300_000, 'SSH-2.0-x\r\n')
    const parts: Buffer[] = []
    outer.on('data', (part: Buffer) => parts.push(part))
    inner.end(bytes)
    await once(outer, 'end')
    expect(Buffer.concat(parts).equals(bytes)).toBe(true)
    expect(watcher).toEqual({ heard: bytes.toString('latin1', 0, MAX_HEARD), closedThere: true })
  })

  test('that we ended was not ended there; the one beneath goes with it', async () => {
    const { inner, watcher, outer } = watch()
    outer.destroy()
    await once(outer, 'close')
    expect(inner.destroyed).toBe(true)
    expect(watcher.closedThere).toBe(false)
  })

  test('a cut is an error', async () => {
    const { inner, watcher, outer } = watch()
    const failed = once(outer, 'error')
    inner.destroy(new Error('cut'))
    expect(await failed).toEqual([expect.objectContaining({ message: 'cut' })])
    expect(watcher.closedThere).toBe(true)
  })
})
