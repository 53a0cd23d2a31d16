import { createHash } from 'node:crypto'
import { createLock } from '../src/index.js'

const right = Buffer.from('right')
const wrong = Buffer.from('wrong')
const by = { binding: { hops: [], failed: false } }

/** A lock with a quick hash, and a sleep that notes how long it should have been. */
function makeLock() {
  const slept: number[] = []
  let hashing = 0
  let mostHashing = 0
  const lock = createLock({
    async hash(passphrase, salt) {
      mostHashing = Math.max(mostHashing, ++hashing)
      await new Promise(setImmediate)
      hashing--
      return createHash('sha256').update(salt).update(passphrase).digest()
    },
    async sleep(ms) {
      slept.push(ms)
      await new Promise(setImmediate)
    },
  })
  return { lock, slept, mostHashing: () => mostHashing }
}

const refused = expect.objectContaining({ code: 'refused' })

test('with the real hash: shut, wrong, right', async () => {
  const lock = createLock({ sleep: async () => undefined })
  await lock.lock(right)
  expect(lock.locked).toBe(true)
  await expect(lock.unlock(wrong)).rejects.toEqual(refused)
  await lock.unlock(right)
  expect(lock.locked).toBe(false)
})

test('it is shut before the passphrase is hashed', async () => {
  const { lock } = makeLock()
  const done = lock.lock(right)
  expect(lock.locked).toBe(true)
  expect(() => lock.pass({ action: 'remove-all', by })).toThrow(refused)
  expect(lock.shows?.({ identity: { blob: right, comment: '' }, terms: {} }, by)).toBe(false)
  await done
})

test('a second lock, an empty passphrase, an unlock of what is open: refused', async () => {
  const { lock } = makeLock()
  await expect(lock.unlock(right)).rejects.toEqual(refused)
  await expect(lock.lock(Buffer.alloc(0))).rejects.toEqual(refused)
  await lock.lock(right)
  await expect(lock.lock(wrong)).rejects.toEqual(refused)
  await lock.unlock(right)
})

test('each miss costs a tenth of a second more, up to ten; a hit starts over', async () => {
  const { lock, slept } = makeLock()
  await lock.lock(right)
  for (let i = 0; i < 103; i++) await expect(lock.unlock(wrong)).rejects.toEqual(refused)
  expect(slept.slice(0, 3)).toEqual([100, 200, 300])
  expect(slept.slice(-4)).toEqual([10_000, 10_000, 10_000, 10_000])
  await lock.unlock(right)
  await lock.lock(right)
  await expect(lock.unlock(wrong)).rejects.toEqual(refused)
  expect(slept.at(-1)).toBe(100)
})

test('guessing in parallel gains nothing: one after the other, and only so many wait', async () => {
  const { lock, slept, mostHashing } = makeLock()
  await lock.lock(right)
  const guesses = await Promise.allSettled(Array.from({ length: 40 }, () => lock.unlock(wrong)))
  expect(guesses.every(({ status }) => status === 'rejected')).toBe(true)
  expect(mostHashing()).toBe(1)
  // The one whose turn it was, and those who waited.
  expect(slept).toEqual(Array.from({ length: 17 }, (_, i) => 100 * (i + 1)))
  await lock.unlock(right)
})

test('one attempt of each client waits, whatever else it sends', async () => {
  const { lock, slept } = makeLock()
  await lock.lock(right)
  const client = { gone: false }
  await Promise.allSettled(Array.from({ length: 10 }, () => lock.unlock(wrong, client)))
  expect(slept).toEqual([100, 200])
})

test('where there is no room, who has guessed most gives way, and who has guessed least goes first', async () => {
  const { lock, slept } = makeLock()
  await lock.lock(right)
  const guessers = Array.from({ length: 40 }, () => ({ gone: false }))
  for (const client of guessers) await expect(lock.unlock(wrong, client)).rejects.toEqual(refused)
  const guesses = Promise.allSettled(guessers.map(client => lock.unlock(wrong, client)))
  const before = slept.length
  await lock.unlock(right, { gone: false })
  // Only the guess that was under way came before it.
  expect(slept.length - before).toBe(1)
  expect((await guesses).every(({ status }) => status === 'rejected')).toBe(true)
  expect(slept.length - before).toBe(1)
})

test('the attempts of clients that are gone are not made', async () => {
  const { lock, slept } = makeLock()
  await lock.lock(right)
  const guessers = Array.from({ length: 10 }, () => ({ gone: false }))
  const guesses = Promise.allSettled(guessers.map(client => lock.unlock(wrong, client)))
  for (const client of guessers) client.gone = true
  await lock.unlock(right)
  await guesses
  expect(slept).toEqual([100])
})

test('two right passphrases at once: the second finds it open', async () => {
  const { lock } = makeLock()
  await lock.lock(right)
  const both = await Promise.allSettled([lock.unlock(right), lock.unlock(right)])
  expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
})

test('a lock whose hash fails is open again, and says so', async () => {
  const lock = createLock({ hash: () => Promise.reject(new Error('no memory')) })
  await expect(lock.lock(right)).rejects.toMatchObject({ code: 'failed' })
  expect(lock.locked).toBe(false)
})
