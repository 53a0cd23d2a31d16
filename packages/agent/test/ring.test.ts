import { jest } from '@jest/globals'
import { generate, KeytoolError, keyFormats, PrivateKey, PublicKey } from '@keytool/keygen'
import { createLock, createRing, type Gate, type Offer, SealedKey, type Terms, type Use } from '../src/index.js'
import { makeBind } from './hosts.js'

const data = Buffer.from('data')
const blobOf = (key: PrivateKey) => key.publicKey.blob
const isWiped = (key: PrivateKey) => Object.values(key.parts).every(part => part.every(byte => byte === 0))

/** A gate that holds every signature up until `open` is called. */
function makeSlowGate(note: (use: Use) => unknown = () => undefined): { gate: Gate; open: () => void } {
  const waiting: (() => void)[] = []
  const pass = (use: Use) => {
    note(use)
    return use.action === 'sign' ? new Promise<void>(resolve => waiting.push(resolve)) : undefined
  }
  return {
    gate: { asks: true, pass },
    open: () => {
      for (const go of waiting.splice(0)) go()
    },
  }
}

test('keys are listed in the order they were added', async () => {
  const ring = createRing()
  const keys = await Promise.all(
    ['ed25519', 'ecdsa-256', 'ed25519'].map((type, i) => generate(type, { comment: `${i}` })),
  )
  for (const key of keys) await ring.add(key)
  expect((await ring.list()).map(({ comment }) => comment)).toEqual(['0', '1', '2'])
  expect((await ring.list()).map(({ blob }) => blob)).toEqual(keys.map(blobOf))
})

test('the same key again takes the place of the old one, with its new comment', async () => {
  const ring = createRing()
  const [first, second] = [await generate('ed25519', { comment: 'a' }), await generate('ed25519', { comment: 'b' })]
  const copy = Object.fromEntries(Object.entries(first.parts).map(([name, part]) => [name, Buffer.from(part)]))
  const again = await PrivateKey.fromParts(first.algorithm, copy, 'new')
  await ring.add(first)
  await ring.add(second)
  await ring.add(again)
  expect((await ring.list()).map(({ comment }) => comment)).toEqual(['new', 'b'])
  expect(isWiped(first)).toBe(true)
  expect(await first.publicKey.verify(data, await ring.sign(blobOf(first), data, 0))).toBe(true)
})

test('what a connection binds while it waits changes nothing of what it has asked for', async () => {
  const [key, evil, good] = [await generate('ed25519'), await generate('ed25519'), await generate('ed25519')]
  const { gate, open } = makeSlowGate()
  const hopsOf = ({ by }: Use) => by.binding.hops.map(({ sessionId }) => sessionId.toString())
  const seen: string[][] = []
  const ring = createRing({ gates: [gate], witness: { used: use => seen.push(hopsOf(use)), passed: () => undefined } })
  ring.put({ identity: { blob: blobOf(key), comment: '' }, terms: {}, origin: 'added', open: key })
  const view = ring.forClient?.({ gone: false })
  await view?.bind?.(await makeBind(evil, Buffer.from('evil'), { forwarding: true }))
  const signing = view?.sign(blobOf(key), data, 0)
  await view?.bind?.(await makeBind(good, Buffer.from('good')))
  open()
  await signing
  const later = view?.sign(blobOf(key), data, 0)
  open()
  await later
  expect(seen).toEqual([['evil'], ['evil', 'good']])
})

test.each<[string, Terms, Terms, boolean]>([
  ['without conditions', {}, {}, true],
  ['under more of them', {}, { confirm: true, idle: 60, lifetime: 60 }, true],
  ['under the same', { confirm: true, idle: 60 }, { confirm: true, idle: 60 }, true],
  ['unconfirmed', { confirm: true }, {}, false],
  ['without idling', { idle: 60 }, {}, false],
  ['idling longer', { idle: 60 }, { idle: 61 }, false],
  ['for a new lifetime', { lifetime: 60 }, { lifetime: 60 }, false],
  ['for other destinations', { destinations: [] }, {}, false],
])('an encrypted file, which anybody can make up, leaves an open key open: %s', async (_, before, terms, stays) => {
  const ring = createRing()
  const key = await generate('ed25519')
  const format = keyFormats.find(({ name }) => name === 'openssh')
  const file = await format?.write?.(key, { passphrase: Buffer.from('sesame'), rounds: 1 })
  const sealed = await SealedKey.read(file ?? Buffer.alloc(0))
  ring.put({ identity: sealed.identity, terms: before, origin: 'added', open: key })
  await ring.addSealed?.({ identity: sealed.identity, terms, sealed })
  const signing = ring.sign(sealed.identity.blob, data, 0)
  if (stays) expect(await sealed.publicKey.verify(data, await signing)).toBe(true)
  else await expect(signing).rejects.toMatchObject({ code: 'refused', message: 'the key is sealed' })
})

test('what is opened while all keys are sealed is sealed as well, and signs nothing', async () => {
  const key = await generate('ed25519')
  const format = keyFormats.find(({ name }) => name === 'openssh')
  const file = await format?.write?.(key, { passphrase: Buffer.from('sesame'), rounds: 1 })
  const sealed = await SealedKey.read(file ?? Buffer.alloc(0))
  const opened: boolean[] = []
  const ring = createRing({
    async unseal(held) {
      held.open(await sealed.open(Buffer.from('sesame')))
      opened.push(held.isOpen)
      ring.sealAll()
    },
  })
  ring.put({ identity: sealed.identity, terms: {}, origin: 'file', sealed })
  const refused = { code: 'refused', message: 'all keys were sealed meanwhile' }
  await expect(ring.sign(sealed.identity.blob, data, 0)).rejects.toMatchObject(refused)
  expect(opened).toEqual([true])
  await ring.add(await generate('ed25519'))
  const states = await ring.forClient?.({ gone: false }).inspect?.()
  expect(states?.map(({ isOpen }) => isOpen)).toEqual([false, true])
})

test('an open key keeps no parts besides what signs, and goes on signing', async () => {
  for (const type of ['ed25519', 'ecdsa-256', 'rsa']) {
    const ring = createRing()
    const key = await generate(type, type === 'rsa' ? { bits: 2048 } : {})
    await ring.add(key)
    expect(isWiped(key)).toBe(true)
    const flags = type === 'rsa' ? 4 : 0
    expect(await key.publicKey.verify(data, await ring.sign(blobOf(key), data, flags))).toBe(true)
  }
})

test('adding the very same object twice does not wipe it', async () => {
  const ring = createRing()
  const key = await generate('ed25519')
  await ring.add(key)
  await ring.add(key.withComment('other'))
  await ring.add(key)
  expect(await key.publicKey.verify(data, await ring.sign(blobOf(key), data, 0))).toBe(true)
})

test.each([
  ['ed25519', 0, 'ssh-ed25519'],
  ['ed25519', 4, 'ssh-ed25519'],
  ['ecdsa-384', 0, 'ecdsa-sha2-nistp384'],
  ['rsa', 0, 'ssh-rsa'],
  ['rsa', 2, 'rsa-sha2-256'],
  ['rsa', 4, 'rsa-sha2-512'],
])('%s with flags %d signs as %s', async (type, flags, scheme) => {
  const ring = createRing()
  const key = await generate(type, type === 'rsa' ? { bits: 2048 } : {})
  await ring.add(key)
  const signature = await ring.sign(blobOf(key), data, flags)
  expect(signature.scheme).toBe(scheme)
  expect(await PublicKey.fromBlob(blobOf(key)).verify(data, signature)).toBe(true)
})

test('what is removed is wiped; what is not there can be neither removed nor used', async () => {
  const ring = createRing()
  const [one, two, three] = await Promise.all(['ed25519', 'ecdsa-256', 'ecdsa-521'].map(type => generate(type)))
  if (!one || !two || !three) throw new Error('no keys')
  const wiped = [one, two, three].map(key => jest.spyOn(key, 'wipe'))
  const areWiped = () => wiped.map(({ mock }) => mock.calls.length > 0)
  for (const key of [one, two, three]) await ring.add(key)
  await ring.remove(blobOf(two))
  expect(areWiped()).toEqual([false, true, false])
  await expect(ring.remove(blobOf(two))).rejects.toMatchObject({ code: 'not-found' })
  await expect(ring.sign(blobOf(two), data, 0)).rejects.toMatchObject({ code: 'not-found' })
  await ring.removeAll()
  expect(areWiped()).toEqual([true, true, true])
  expect(await ring.list()).toEqual([])
})

test('locked: the list is empty and all else is refused, remove-all too; a key offered meanwhile is wiped', async () => {
  const ring = createRing({ lock: createLock({ sleep: async () => undefined }) })
  const [key, other] = [await generate('ed25519'), await generate('ed25519')]
  await ring.add(key)
  await ring.lock(Buffer.from('p'))
  expect(await ring.list()).toEqual([])
  const refused = { code: 'refused' }
  await expect(ring.sign(blobOf(key), data, 0)).rejects.toMatchObject(refused)
  await expect(ring.remove(blobOf(key))).rejects.toMatchObject(refused)
  await expect(ring.removeAll()).rejects.toMatchObject(refused)
  await expect(ring.add(other)).rejects.toMatchObject(refused)
  expect(isWiped(other)).toBe(true)
  await expect(ring.unlock(Buffer.from('q'))).rejects.toMatchObject(refused)
  await ring.unlock(Buffer.from('p'))
  expect(await key.publicKey.verify(data, await ring.sign(blobOf(key), data, 0))).toBe(true)
})

test('gates are passed in order behind the lock; one that waits holds up its own use only', async () => {
  const seen: string[] = []
  const { gate, open } = makeSlowGate(({ action }) => seen.push(`slow ${action}`))
  const last: Gate = { pass: use => void seen.push(`last ${use.action}`) }
  const ring = createRing({ gates: [gate, last] })
  const key = await generate('ed25519')
  await ring.add(key)
  const signing = ring.sign(blobOf(key), data, 0)
  expect(await ring.list()).toHaveLength(1)
  expect([...new Set(seen)]).toEqual(['slow add', 'last add', 'slow sign'])
  open()
  await signing
  expect(seen.at(-1)).toBe('last sign')
})

test('a key that is removed while a gate waits does not sign with what is left of it', async () => {
  const { gate, open } = makeSlowGate()
  const ring = createRing({ gates: [gate] })
  const key = await generate('ed25519')
  await ring.add(key)
  const signing = ring.sign(blobOf(key), data, 0)
  await ring.remove(blobOf(key))
  open()
  await expect(signing).rejects.toMatchObject({ code: 'not-found' })
})

test('what is ruled out while a gate waits is refused', async () => {
  const { gate, open } = makeSlowGate()
  let isRuledOut = false
  const rule: Gate = {
    pass() {
      if (isRuledOut) throw new KeytoolError('refused', 'no more')
    },
  }
  const ring = createRing({ gates: [rule, gate] })
  const key = await generate('ed25519')
  await ring.add(key)
  const signing = ring.sign(blobOf(key), data, 0)
  isRuledOut = true
  open()
  await expect(signing).rejects.toMatchObject({ code: 'refused', message: 'no more' })
  isRuledOut = false
  const again = ring.sign(blobOf(key), data, 0)
  open()
  await again
})

test('a gate may hide keys', async () => {
  const ring = createRing({
    gates: [{ pass: () => undefined, shows: ({ identity }) => identity.comment !== 'hidden' }],
  })
  await ring.add(await generate('ed25519', { comment: 'hidden' }))
  await ring.add(await generate('ed25519', { comment: 'shown' }))
  expect((await ring.list()).map(({ comment }) => comment)).toEqual(['shown'])
})

test('a ring never grows past what one list can say', async () => {
  const ring = createRing()
  await ring.add(await generate('ed25519', { comment: 'x'.repeat(200 * 1024) }))
  const tooMuch = await generate('ed25519', { comment: 'x'.repeat(60 * 1024) })
  await expect(ring.add(tooMuch)).rejects.toMatchObject({ code: 'refused' })
  expect(isWiped(tooMuch)).toBe(true)
  await ring.add(await generate('ed25519'))
  expect(await ring.list()).toHaveLength(2)
})

test('what waits for its turn is not signed with a key that went, or while it is locked', async () => {
  const ring = createRing()
  const kept = await generate('rsa', { bits: 2048 })
  const gone = await generate('rsa', { bits: 2048 })
  await ring.add(kept)
  await ring.add(gone)
  // Enough to fill the threads, so that the others wait.
  const first = Array.from({ length: 4 }, () => ring.sign(blobOf(kept), data, 2))
  const late = Promise.allSettled([ring.sign(blobOf(gone), data, 2), ring.sign(blobOf(kept), data, 2)])
  await ring.remove(blobOf(gone))
  await ring.lock(Buffer.from('p'))
  expect((await Promise.allSettled(first)).map(({ status }) => status)).toEqual(new Array(4).fill('fulfilled'))
  expect(await late).toMatchObject([{ reason: { code: 'not-found' } }, { reason: { code: 'refused' } }])
})

test('a view for a client is the same agent', async () => {
  const ring = createRing({ lock: createLock({ sleep: async () => undefined }) })
  const view = ring.forClient?.({ gone: false }) ?? ring
  const key = await generate('ed25519')
  await view.add(key)
  expect(await view.list()).toEqual(await ring.list())
  const publicKey = PublicKey.fromBlob(blobOf(key))
  expect(await publicKey.verify(data, await view.sign(blobOf(key), data, 0))).toBe(true)
  await view.lock(Buffer.from('p'))
  expect(await ring.list()).toEqual([])
  await expect(view.unlock(Buffer.from('q'))).rejects.toMatchObject({ code: 'refused' })
  await view.unlock(Buffer.from('p'))
  await view.remove(blobOf(key))
  await view.removeAll()
  expect(await ring.list()).toEqual([])
})

describe('a key that is offered', () => {
  function makeOffer(key: PrivateKey, note: () => void = () => undefined): Offer {
    const open = async () => {
      note()
      return key
    }
    return { identity: { blob: blobOf(key), comment: key.comment }, terms: {}, slow: false, open }
  }

  test('is opened once every gate has let it in, and held', async () => {
    const seen: string[] = []
    const ring = createRing({ gates: [{ pass: ({ action }) => void seen.push(action) }] })
    const key = await generate('ed25519', { comment: 'offered' })
    await ring.offer?.(makeOffer(key, () => seen.push('open')))
    expect([...new Set(seen)]).toEqual(['add', 'open'])
    expect(await ring.list()).toEqual([{ blob: blobOf(key), comment: 'offered' }])
  })

  test('is not opened where a gate, the lock or the room says no', async () => {
    const note = jest.fn()
    const offer = makeOffer(await generate('ed25519'), note)
    const refused = { code: 'refused' }
    const gate: Gate = {
      pass() {
        throw new KeytoolError('refused', 'no')
      },
    }
    await expect(createRing({ gates: [gate] }).offer?.(offer)).rejects.toMatchObject(refused)
    const ring = createRing()
    const long = { ...offer, identity: { ...offer.identity, comment: 'x'.repeat(256 * 1024) } }
    await expect(ring.offer?.(long)).rejects.toMatchObject(refused)
    await ring.lock(Buffer.from('p'))
    await expect(ring.offer?.(offer)).rejects.toMatchObject(refused)
    expect(note).not.toHaveBeenCalled()
  })

  test('is wiped when the agent was locked while it was opened', async () => {
    const ring = createRing()
    const key = await generate('ed25519')
    const offered = ring.offer?.(makeOffer(key, () => void ring.lock(Buffer.from('p'))))
    await expect(offered).rejects.toMatchObject({ code: 'refused' })
    expect(isWiped(key)).toBe(true)
  })

  test('is opened one at a time, with a turn of the event loop for each', async () => {
    const ring = createRing()
    const keys = await Promise.all(Array.from({ length: 8 }, () => generate('ed25519')))
    let opened = 0
    const offers = keys.map(key => ring.forClient?.({ gone: false }).offer?.(makeOffer(key, () => opened++)))
    for (let turn = 0; turn < keys.length; turn++) {
      expect(opened).toBeLessThanOrEqual(turn)
      await new Promise(setImmediate)
    }
    await Promise.all(offers)
    expect(opened).toBe(8)
  })

  test('is not opened for a client that a probe finds gone', async () => {
    const ring = createRing()
    const client = {
      gone: false,
      probe() {
        client.gone = true
      },
    }
    const note = jest.fn()
    const offered = ring.forClient?.(client).offer?.(makeOffer(await generate('ed25519'), note))
    await expect(offered).rejects.toMatchObject({ code: 'cancelled' })
    expect(note).not.toHaveBeenCalled()
  })
})
