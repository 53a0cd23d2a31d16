import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generate, KeytoolError, keyFormats } from '@keytool/keygen'
import { fingerprintOf, type Keychain, SealedKey } from '../src/index.js'
import { createRemembered } from '../src/keychain/remembered.js'
import type { Openable } from '../src/unlock/unsealing.js'
import { makeTemporary, until } from './support.js'

// What the agent makes of a keychain's answers: what it tries, keeps, and says of it.

const signal = new AbortController().signal

async function setUp(answers: Partial<Keychain> = {}) {
  const key = await generate('ed25519', { comment: 'id_work' })
  const encrypt = async (passphrase: string) => {
    const openssh = keyFormats.find(({ name }) => name === 'openssh')
    const bytes = await openssh?.write?.(key, { passphrase: Buffer.from(passphrase), rounds: 1 })
    if (!bytes) throw new Error('it is not written')
    return SealedKey.read(bytes)
  }
  const identity = { blob: key.publicKey.blob, comment: 'id_work' }
  const held = async (passphrase: string): Promise<Openable> => ({
    identity,
    sealed: await encrypt(passphrase),
    file: '/k/id_work',
    open() {},
  })
  const fingerprint = fingerprintOf(identity)
  const there = { secret: 'old' as string | undefined }
  const given: Buffer[] = []
  const stored: unknown[] = []
  const told: string[] = []
  const rule = { remember: true }
  const keychain: Keychain = {
    prepare() {},
    state: async () => 'unlocked',
    async find() {
      if (there.secret === undefined) return undefined
      const passphrase = Buffer.from(there.secret)
      given.push(passphrase)
      return passphrase
    },
    async store(entry, passphrase) {
      there.secret = Buffer.from(passphrase).toString()
      stored.push([entry, there.secret])
      given.push(passphrase as Buffer)
    },
    forget: async () => true,
    list: async () => [],
    ...answers,
  }
  const remembered = createRemembered({
    keychain,
    isRemembered: () => rule.remember,
    onTrouble: (_key, trouble) => told.push(trouble ?? 'well'),
    onUse: (_key, verdict, reason) => told.push(`${verdict}: ${reason}`),
  })
  return { remembered, held, there, given, stored, told, rule, fingerprint }
}

const isWiped = (bytes: Buffer) => bytes.every(byte => byte === 0)
/** Time in which what should not happen would: a file is looked at first. */
const settle = () => new Promise(resolve => setTimeout(resolve, 50))
const stale = { code: 'secret-wrong', message: 'the stored passphrase no longer fits' }

test('one that does not fit is not tried again while file and entry are the same', async () => {
  const { remembered, held, there, given } = await setUp()
  const key = await held('new')
  const first = await remembered.find(key, signal)
  expect(first?.toString()).toBe('old')
  remembered.tried(key, Buffer.from('old'), false)
  await expect(remembered.find(key, signal)).rejects.toMatchObject(stale)
  expect(given[1] && isWiped(given[1])).toBe(true)

  // Another entry, and then another file: each may fit.
  there.secret = 'older'
  expect((await remembered.find(key, signal))?.toString()).toBe('older')
  remembered.tried(key, Buffer.from('older'), false)
  await expect(remembered.find(key, signal)).rejects.toMatchObject(stale)
  const changed = await held('older')
  expect((await remembered.find(changed, signal))?.toString()).toBe('older')
})

test('what fits is kept in the place of what did not, once', async () => {
  const { remembered, held, stored, told, given, fingerprint } = await setUp()
  const key = await held('new')
  await remembered.find(key, signal)
  remembered.tried(key, Buffer.from('old'), false)
  const typed = Buffer.from('new')
  remembered.keep(key, typed)
  typed.fill(0)
  await until(() => stored.length > 0 && given.slice(1).every(isWiped))
  expect(stored).toEqual([[{ fingerprint, comment: 'id_work', file: '/k/id_work' }, 'new']])
  expect(given.slice(1).every(isWiped)).toBe(true)
  remembered.keep(key, Buffer.from('new'))
  await settle()
  expect(stored).toHaveLength(1)
  expect((await remembered.find(key, signal))?.toString()).toBe('new')
  remembered.tried(key, Buffer.from('new'), true)
  expect(told).toEqual([
    "id_work is not opened by the keychain: the stored passphrase no longer fits: the file's passphrase was changed",
    'failed: the stored passphrase no longer fits',
    'well',
    'well',
    'allowed: by the keychain',
  ])
})

test('what was missing is kept; what was there, or could not be looked for, is not', async () => {
  const { remembered, held, there, stored } = await setUp()
  const key = await held('new')
  remembered.keep(key, Buffer.from('new'))
  await remembered.find(key, signal)
  remembered.keep(key, Buffer.from('new'))
  await settle()
  expect(stored).toEqual([])
  there.secret = undefined
  await expect(remembered.find(key, signal)).rejects.toMatchObject({ code: 'not-found' })
  remembered.keep(key, Buffer.from('new'))
  await until(() => stored.length > 0)
  expect(stored).toHaveLength(1)
})

test('a rule that is taken back holds at once', async () => {
  const { remembered, held, there, stored, rule } = await setUp()
  const key = await held('new')
  there.secret = undefined
  await expect(remembered.find(key, signal)).rejects.toMatchObject({ code: 'not-found' })
  rule.remember = false
  expect(await remembered.find(key, signal)).toBeUndefined()
  remembered.keep(key, Buffer.from('new'))
  await settle()
  expect(stored).toEqual([])
})

test.each([
  ['refused', 'locked', ['id_work is not opened by the keychain: x']],
  ['unreachable', 'none', ['id_work is not opened by the keychain: x']],
  ['failed', 'unlocked', ['id_work is not opened by the keychain: x']],
  ['cancelled', 'unlocked', []],
] as const)('after %s it is seen as %s', async (code, state, troubles) => {
  const fate = { error: undefined as KeytoolError | undefined }
  const find = async () => {
    if (fate.error) throw fate.error
    return Buffer.from('new')
  }
  const { remembered, held, told } = await setUp({ find })
  const key = await held('new')
  expect(remembered.state).toBe('unknown')
  await remembered.find(key, signal)
  expect(remembered.state).toBe('unlocked')
  fate.error = new KeytoolError(code, 'x')
  await expect(remembered.find(key, signal)).rejects.toMatchObject({ code })
  expect([remembered.state, told]).toEqual([state, troubles])
})

test('what can not be stored is told, and tried again with the next that fits', async () => {
  const store = () => Promise.reject(new KeytoolError('refused', 'the keychain is locked'))
  const { remembered, held, told } = await setUp({ store })
  const key = await held('new')
  await remembered.find(key, signal)
  remembered.tried(key, Buffer.from('old'), false)
  for (let i = 0; i < 2; i++) {
    remembered.keep(key, Buffer.from('new'))
    await until(() => told.length === 3 + i)
  }
  expect(told.slice(2)).toEqual(new Array(2).fill('id_work is not opened by the keychain: the keychain is locked'))
})

test('a file that was changed since it was read: what opens the old one is not kept', async () => {
  const { remembered, held, stored, told } = await setUp()
  const file = join(await makeTemporary(), 'id_work')
  await writeFile(file, 'another file')
  const key = { ...(await held('old one')), file }
  remembered.tried(key, (await remembered.find(key, signal)) ?? Buffer.alloc(0), false)
  remembered.keep(key, Buffer.from('old one'))
  await until(() => told.at(-1)?.includes('its file was changed') === true)
  expect(stored).toEqual([])
  expect(told.at(-1)).toContain('its file was changed')
})
