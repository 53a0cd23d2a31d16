import { encodeSignature, generate, type PrivateKey, Writer } from '@keytool/keygen'
import { SessionBinding } from '../src/gates/binding.js'
import { isForwarded } from '../src/who.js'
import { certify, makeBind } from './hosts.js'

const id = (name: string) => Buffer.from(name)

let [ed, other, ecdsa, rsa]: PrivateKey[] = []
const need = (key: PrivateKey | undefined): PrivateKey => {
  if (!key) throw new Error('not made')
  return key
}

beforeAll(async () => {
  ;[ed, other, ecdsa, rsa] = await Promise.all(['ed25519', 'ed25519', 'ecdsa-256', 'rsa'].map(type => generate(type)))
})

/** A binding that has taken these. */
async function bound(...binds: Parameters<SessionBinding['bind']>[0][]): Promise<SessionBinding> {
  const binding = new SessionBinding()
  for (const bind of binds) await binding.bind(bind)
  return binding
}

/** That the bind is refused, and the connection done for, with its hops as they were. */
async function expectRefusal(binding: SessionBinding, bind: Parameters<SessionBinding['bind']>[0], code = 'refused') {
  const before = [...binding.hops]
  await expect(binding.bind(bind)).rejects.toMatchObject({ code })
  expect(binding.failed).toBe(true)
  expect(binding.hops).toEqual(before)
}

test('a connection is bound to nothing at first', () => {
  const binding = new SessionBinding()
  expect(binding).toMatchObject({ hops: [], failed: false })
  expect(isForwarded(binding)).toBe(false)
})

test.each([
  ['ed25519', () => makeBind(need(ed), id('s'))],
  ['ecdsa', () => makeBind(need(ecdsa), id('s'))],
  ['rsa-sha2-512', () => makeBind(need(rsa), id('s'), { hash: 'sha512' })],
  ['rsa-sha2-256', () => makeBind(need(rsa), id('s'), { hash: 'sha256' })],
  ['ssh-rsa, as ssh-agent takes it', () => makeBind(need(rsa), id('s'), { hash: 'sha1' })],
  ['a session id of one byte', () => makeBind(need(ed), Buffer.of(0))],
  ['a session id of 128 bytes', () => makeBind(need(ed), Buffer.alloc(128, 7))],
])('a login: %s', async (_name, make) => {
  const bind = await make()
  const binding = await bound(bind)
  expect(binding.failed).toBe(false)
  expect(binding.hops).toHaveLength(1)
  expect(binding.hops[0]).toMatchObject({ sessionId: bind.sessionId, forwarding: false })
  expect(binding.hops[0]?.hostKey.blob).toEqual(bind.hostKey)
})

test('what is recorded stays when the message is cleared', async () => {
  const bind = await makeBind(need(ed), Buffer.from('s'))
  const copies = { ...bind, hostKey: Buffer.from(bind.hostKey), sessionId: Buffer.from(bind.sessionId) }
  const binding = await bound(copies)
  copies.hostKey.fill(0)
  copies.sessionId.fill(0)
  expect(binding.hops[0]?.hostKey.equals(need(ed).publicKey)).toBe(true)
  expect(binding.hops[0]?.sessionId).toEqual(id('s'))
})

describe("a host's certificate", () => {
  test('is taken with a signature by the key it certifies', async () => {
    const certificate = await certify(need(ed), need(other), { principals: ['web'] })
    const binding = await bound(await makeBind(need(ed), id('s'), { certificate }))
    expect(binding.hops[0]?.hostKey.equals(certificate)).toBe(true)
  })

  test("is taken whatever it says: a key's destinations ask that", async () => {
    const certificate = await certify(need(ed), need(other), { kind: 1, before: 1n })
    const binding = await bound(await makeBind(need(ed), id('s'), { certificate }))
    expect(binding.hops).toHaveLength(1)
  })

  test.each([
    ['that another key has signed for', () => certify(need(other), need(other))],
    ['that its authority has signed with SHA-1', () => certify(need(ed), need(rsa), { hash: 'sha1' })],
  ])('%s: refused', async (_name, make) => {
    const certificate = await make()
    await expectRefusal(new SessionBinding(), await makeBind(need(ed), id('s'), { certificate }))
  })

  test('with a bit turned in what its authority has signed: refused', async () => {
    const certificate = await certify(need(ed), need(other), { principals: ['web'] })
    const bind = await makeBind(need(ed), id('s'), { certificate })
    const hostKey = Buffer.from(bind.hostKey)
    const at = hostKey.indexOf('web')
    hostKey.writeUInt8(hostKey.readUInt8(at) ^ 1, at)
    await expectRefusal(new SessionBinding(), { ...bind, hostKey })
  })
})

describe('no proof: refused, and nothing more is taken', () => {
  test.each([
    ['a signature over another id', async () => ({ ...(await makeBind(need(ed), id('s'))), sessionId: id('t') })],
    [
      "another key's signature",
      async () => ({ ...(await makeBind(need(other), id('s'))), hostKey: need(ed).publicKey.blob }),
    ],
    [
      'a scheme that the key does not have',
      async () => ({
        ...(await makeBind(need(ed), id('s'))),
        signature: encodeSignature({ scheme: 'ssh-rsa', blob: Buffer.alloc(64) }),
      }),
    ],
    ['an empty session id', () => makeBind(need(ed), Buffer.alloc(0))],
    ['a session id of 129 bytes', () => makeBind(need(ed), Buffer.alloc(129))],
    [
      'a key of a type that nobody knows',
      async () => ({
        ...(await makeBind(need(ed), id('s'))),
        hostKey: new Writer().text('ssh-future').string(Buffer.alloc(32)).done(),
      }),
    ],
  ])('%s', async (_name, make) => {
    const binding = new SessionBinding()
    await expectRefusal(binding, await make())
    await expectRefusal(binding, await makeBind(need(ed), id('fine')))
  })

  test.each([
    ['no key', async () => ({ ...(await makeBind(need(ed), id('s'))), hostKey: Buffer.of(0, 0, 0, 9) })],
    ['no signature', async () => ({ ...(await makeBind(need(ed), id('s'))), signature: Buffer.alloc(0) })],
    [
      'a signature with more behind it',
      async () => {
        const bind = await makeBind(need(ed), id('s'))
        return { ...bind, signature: Buffer.concat([bind.signature, Buffer.of(0)]) }
      },
    ],
  ])('%s: damaged', async (_name, make) => {
    await expectRefusal(new SessionBinding(), await make(), 'damaged')
  })

  test('a bind that could not even be read', async () => {
    const binding = new SessionBinding()
    binding.fail()
    expect(binding.failed).toBe(true)
    await expectRefusal(binding, await makeBind(need(ed), id('s')))
  })
})

describe('one after the other', () => {
  test('forwarded hops, then a login: in their order', async () => {
    const binding = await bound(
      await makeBind(need(ed), id('1'), { forwarding: true }),
      await makeBind(need(other), id('2'), { forwarding: true }),
      await makeBind(need(ecdsa), id('3')),
    )
    expect(binding.hops.map(({ sessionId }) => String(sessionId))).toEqual(['1', '2', '3'])
    expect(isForwarded(binding)).toBe(true)
  })

  test('sent at once they are taken in the order sent, however long each takes to verify', async () => {
    const binding = new SessionBinding()
    const certificate = await certify(need(rsa), need(rsa))
    const binds = [
      await makeBind(need(rsa), id('1'), { forwarding: true, certificate }),
      await makeBind(need(ed), id('2'), { forwarding: true }),
    ]
    await Promise.all(binds.map(bind => binding.bind(bind)))
    expect(binding.hops.map(({ sessionId }) => String(sessionId))).toEqual(['1', '2'])
  })

  test('a bad one spoils those sent with it', async () => {
    const binding = new SessionBinding()
    const good = await makeBind(need(ed), id('2'))
    const outcomes = await Promise.allSettled([binding.bind({ ...good, sessionId: id('x') }), binding.bind(good)])
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(binding.hops).toEqual([])
  })

  test('the same session again is fine, and recorded once', async () => {
    const bind = await makeBind(need(ed), id('1'), { forwarding: true })
    const binding = await bound(bind, bind, { ...bind, forwarding: false })
    expect(binding.hops).toMatchObject([{ forwarding: true }])
    expect(binding.failed).toBe(false)
  })

  test('the same host with another session is another hop', async () => {
    const binding = await bound(
      await makeBind(need(ed), id('1'), { forwarding: true }),
      await makeBind(need(ed), id('2'), { forwarding: true }),
    )
    expect(binding.hops).toHaveLength(2)
  })

  test('the same session of another host: refused', async () => {
    const binding = await bound(await makeBind(need(ed), id('1'), { forwarding: true }))
    await expectRefusal(binding, await makeBind(need(other), id('1'), { forwarding: true }))
  })

  test('behind a login: refused, also the same login again', async () => {
    const login = await makeBind(need(ed), id('1'))
    await expectRefusal(await bound(login), await makeBind(need(other), id('2')))
    await expectRefusal(await bound(login), login)
  })

  test('behind a login, but a hop before it again: fine, as ssh-agent looks', async () => {
    const hop = await makeBind(need(ed), id('1'), { forwarding: true })
    const binding = await bound(hop, await makeBind(need(other), id('2')), hop)
    expect(binding).toMatchObject({ failed: false })
    expect(binding.hops).toHaveLength(2)
  })

  test('16 are taken, the 17th is refused; the 16th again was fine', async () => {
    const make = (n: number) => makeBind(need(ed), id(`${n}`), { forwarding: true })
    const binding = new SessionBinding()
    for (let n = 1; n <= 16; n++) await binding.bind(await make(n))
    await binding.bind(await make(16))
    expect(binding.hops).toHaveLength(16)
    await expectRefusal(binding, await make(17))
  })
})
