import { KeytoolError, PrivateKey, PublicKey, Reader, Writer } from '@keytool/keygen'
import fc from 'fast-check'
import { decodeMessage, encodeMessage, requests } from '../src/index.js'
import { constraints } from '../src/protocol/constraints.js'
import type { Hop, Terms } from '../src/terms.js'

/**
 * `ssh-add -H known -t 600 -c -h one.example -h 'one.example>hana@two.example' key`: byte for byte the same from OpenSSH 9.2,
 * 10.0p2 and 10.6p1. Each host has a key of its own in `known`, and the authority of `*.example`.
 */
const RESTRICTED =
  'GQAAAAtzc2gtZWQyNTUxOQAAACCdt2sQe+DlUdp+YudezsuyXnUa2hktrcgeKRbeF9bxzAAAAECalVfwMfAQ/dj836jXHqcWKEDdyN1Y8icKIZwnS7ZBOp23axB74OVR2n5i517Oy7JedRraGS2tyB4pFt4X1vHMAAAAAmVkAQAAAlgC/wAAACRyZXN0cmljdC1kZXN0aW5hdGlvbi12MDBAb3BlbnNzaC5jb20AAAH6AAAAnwAAAAwAAAAAAAAAAAAAAAAAAACHAAAAAAAAAAtvbmUuZXhhbXBsZQAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAICnip+NfM/dsOPsExVhlfW2/Qp0TN+balqCYMZQQYmR6AAAAADMAAAALc3NoLWVkMjU1MTkAAAAgEJm+yW6dTvhFT5NrP9QW0H+hIKys42hWtSsT8VpzzjMBAAAAAAAAAVMAAACHAAAAAAAAAAtvbmUuZXhhbXBsZQAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAICnip+NfM/dsOPsExVhlfW2/Qp0TN+balqCYMZQQYmR6AAAAADMAAAALc3NoLWVkMjU1MTkAAAAgEJm+yW6dTvhFT5NrP9QW0H+hIKys42hWtSsT8VpzzjMBAAAAwAAAAARoYW5hAAAAC3R3by5leGFtcGxlAAAAAAAAAGgAAAATZWNkc2Etc2hhMi1uaXN0cDI1NgAAAAhuaXN0cDI1NgAAAEEE1moLGNNCev3R58yVF3i6J7UoWZRNAe9TpBUJ/wd3M70N2OqExehc9GEBoYv9gjHc9t/qVBzbWWSyL7X3hmTxIwAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIBCZvslunU74RU+Taz/UFtB/oSCsrONoVrUrE/Fac84zAQAAAAA='
/** `ssh-add -h hana@ key`, OpenSSH 10.6p1: hana on every host. ssh-agent refuses it. */
const ANYWHERE =
  'GQAAAAtzc2gtZWQyNTUxOQAAACCdt2sQe+DlUdp+YudezsuyXnUa2hktrcgeKRbeF9bxzAAAAECalVfwMfAQ/dj836jXHqcWKEDdyN1Y8icKIZwnS7ZBOp23axB74OVR2n5i517Oy7JedRraGS2tyB4pFt4X1vHMAAAAAmVk/wAAACRyZXN0cmljdC1kZXN0aW5hdGlvbi12MDBAb3BlbnNzaC5jb20AAAAsAAAAKAAAAAwAAAAAAAAAAAAAAAAAAAAQAAAABGhhbmEAAAAAAAAAAAAAAAA='

function read(bytes: Uint8Array): Terms {
  const reader = new Reader(bytes)
  const terms = constraints.read(reader)
  reader.end()
  return terms
}

function write(terms: Terms): Buffer {
  const writer = new Writer()
  constraints.write(writer, terms)
  return writer.done()
}

const body = Buffer.from(RESTRICTED, 'base64')
const recorded = decodeMessage(requests.addConstrained, body)
const own = recorded.constraints.destinations?.[0]?.to.keys[0]?.key ?? PublicKey.fromBlob(Buffer.alloc(0))

test('what ssh-add sends: read, and written again to the same bytes', async () => {
  const { key, comment, constraints } = recorded
  expect((await PrivateKey.fromParts(key.algorithm, key.parts, comment)).publicKey.algorithm.name).toBe('ssh-ed25519')
  expect(comment).toBe('ed')
  const { destinations, ...others } = constraints
  expect(others).toEqual({ lifetime: 600, confirm: true })
  const facts = ({ user, host, keys }: Hop) => [
    user,
    host,
    ...keys.map(({ key, isAuthority }) => [key.algorithm.type, isAuthority]),
  ]
  const one = ['', 'one.example', ['ed25519', false], ['ed25519', true]]
  expect(destinations?.map(({ from, to }) => [facts(from), facts(to)])).toEqual([
    [['', ''], one],
    [one, ['hana', 'two.example', ['ecdsa-256', false], ['ed25519', true]]],
  ])
  expect(encodeMessage(requests.addConstrained, recorded).subarray(4)).toEqual(body)
})

test('a destination without a host: refused, as by ssh-agent', () => {
  expect(() => decodeMessage(requests.addConstrained, Buffer.from(ANYWHERE, 'base64'))).toThrow(
    /leads to a host without/,
  )
})

test('cut anywhere it is damaged, except where one constraint has ended and the next not begun', () => {
  const whole: Terms[] = []
  for (let length = 1; length < body.length; length++) {
    try {
      whole.push(decodeMessage(requests.addConstrained, body.subarray(0, length)).constraints)
    } catch (error) {
      expect(error).toBeInstanceOf(KeytoolError)
      expect(error).toMatchObject({ code: 'damaged' })
    }
  }
  expect(whole).toEqual([{}, { lifetime: 600 }, { lifetime: 600, confirm: true }])
})

test('a byte too many; a bit turned in any byte: other terms, or none at all', () => {
  const plain = write(recorded.constraints)
  expect(() => read(Buffer.concat([plain, Buffer.of(0)]))).toThrow(/number 0 is not enforced/)
  let refused = 0
  for (let at = 0; at < plain.length; at++) {
    const turned = Buffer.from(plain)
    turned[at] = (turned[at] ?? 0) ^ (1 << (at % 8))
    let terms: Terms
    try {
      terms = read(turned)
    } catch (error) {
      expect(error).toMatchObject({ name: 'KeytoolError', code: expect.stringMatching(/^(damaged|unsupported)$/) })
      refused++
      continue
    }
    expect(write(read(write(terms)))).toEqual(write(terms))
  }
  // Names, numbers, lengths and the point of the ECDSA key; the rest are names of hosts and keys that may be any.
  expect(refused).toBeGreaterThan(plain.length / 3)
})

const lifetime = (seconds: number) => new Writer().byte(1).uint32(seconds)
const extension = (name: string) => new Writer().byte(255).text(name)

interface OddHop {
  user?: string
  host?: string
  reserved?: string
  keys?: readonly Buffer[]
}

function oddHop({ user = '', host = '', reserved = '', keys = [] }: OddHop): Buffer {
  const writer = new Writer().text(user).text(host).text(reserved)
  for (const key of keys) writer.string(key).boolean(false)
  return writer.done()
}

const good: OddHop = { host: 'one', keys: [own.blob] }
const step = (from: OddHop, to: OddHop, reserved = '', tail = ''): Buffer =>
  new Writer().string(oddHop(from)).string(oddHop(to)).text(reserved).bytes(Buffer.from(tail)).done()

function restrict(...steps: readonly Buffer[]): Writer {
  const several = new Writer()
  for (const one of steps) several.string(one)
  return extension('restrict-destination-v00@openssh.com').string(several.done())
}

test('the odd ones are made as they should be: a good one passes', () => {
  expect(read(restrict(step({}, good)).done()).destinations).toHaveLength(1)
  expect(read(restrict(step({}, { ...good, user: 'u'.repeat(256) })).done()).destinations).toHaveLength(1)
  const most = Array.from({ length: 1024 }, () => step({}, good))
  expect(read(restrict(...most).done()).destinations).toHaveLength(1024)
  expect(read(lifetime(0xffffffff).done())).toEqual({ lifetime: 0xffffffff })
  expect(read(extension('idle@keytool').uint32(9).done())).toEqual({ idle: 9 })
  expect(read(Buffer.alloc(0))).toEqual({})
})

test.each<[string, string, Writer]>([
  ['number 3 (MAXSIGN)', 'unsupported', new Writer().byte(3).uint32(1)],
  ['number 0', 'unsupported', new Writer().byte(0)],
  ['an unknown name', 'unsupported', extension('nobody@example.com').text('')],
  ['a provider for a token', 'unsupported', extension('sk-provider@openssh.com').text('internal')],
  ['certificates for a card', 'unsupported', extension('associated-certs-v00@openssh.com').boolean(true).text('')],
  ['a name that only begins right', 'unsupported', extension('idle@keytool\0').uint32(9)],
  ['no name', 'damaged', new Writer().byte(255)],
  ['a lifetime of 0', 'damaged', lifetime(0)],
  ['an idle time of 0', 'damaged', extension('idle@keytool').uint32(0)],
  ['a lifetime twice', 'damaged', lifetime(1).byte(1).uint32(1)],
  ['confirm twice', 'damaged', new Writer().byte(2).byte(2)],
  [
    'destinations twice',
    'damaged',
    new Writer().bytes(restrict(step({}, good)).done()).bytes(restrict(step({}, good)).done()),
  ],
  ['no destination', 'damaged', restrict()],
  ['1025 destinations', 'damaged', restrict(...Array.from({ length: 1025 }, () => step({}, good)))],
  ['a user where it starts', 'damaged', restrict(step({ ...good, user: 'hana' }, good))],
  ['a start with a name and no key', 'damaged', restrict(step({ host: 'one' }, good))],
  ['a start with a key and no name', 'damaged', restrict(step({ keys: [own.blob] }, good))],
  ['an end without a key', 'damaged', restrict(step({}, { host: 'one' }))],
  ['an end without a name', 'damaged', restrict(step({}, { keys: [own.blob] }))],
  ['a user pattern of 257 bytes', 'damaged', restrict(step({}, { ...good, user: 'u'.repeat(257) }))],
  ['a user with a zero byte', 'damaged', restrict(step({}, { ...good, user: 'root\0x' }))],
  ['a host with a zero byte', 'damaged', restrict(step({}, { ...good, host: 'one\0x' }))],
  ['a host with an @', 'damaged', restrict(step({}, { ...good, host: 'root@one' }))],
  ['more said about a hop', 'unsupported', restrict(step({}, { ...good, reserved: 'x' }))],
  ['more said about a destination', 'unsupported', restrict(step({}, good, 'x'))],
  ['a byte behind a destination', 'damaged', restrict(step({}, good, '', 'x'))],
  ['a key that is none', 'damaged', restrict(step({}, { ...good, keys: [Buffer.alloc(0)] }))],
  [
    'a key of an unknown type',
    'unsupported',
    restrict(step({}, { ...good, keys: [new Writer().text('ssh-new').done()] })),
  ],
])('%s: %s', (_name, code, bytes) => {
  expect(() => read(bytes.done())).toThrow(expect.objectContaining({ name: 'KeytoolError', code }))
  // Among others it is refused just so.
  expect(() => read(Buffer.concat([lifetime(9).done(), bytes.done()]))).toThrow(
    expect.objectContaining({ name: 'KeytoolError' }),
  )
})

const second = fc.integer({ min: 1, max: 0xffffffff })
const keys = fc.array(fc.record({ key: fc.constant(own), isAuthority: fc.boolean() }), { minLength: 1, maxLength: 3 })
const name = fc.string({ minLength: 1, maxLength: 40 }).filter(text => !/[@\0]/.test(text))
const host = fc.record({ user: fc.constant(''), host: name, keys })
const nowhere = fc.constant({ user: '', host: '', keys: [] })
const destination = fc.record({
  from: fc.oneof(nowhere, host),
  to: fc.record({ user: fc.oneof(fc.constant(''), name), host: name, keys }),
})
const someTerms = fc.record(
  {
    lifetime: second,
    idle: second,
    confirm: fc.constant(true),
    destinations: fc.array(destination, { minLength: 1, maxLength: 4 }),
  },
  { requiredKeys: [] },
)

test('any terms: written, read and written again they are the same', () => {
  fc.assert(
    fc.property(someTerms, terms => {
      const bytes = write(terms)
      expect(read(bytes)).toEqual(terms)
      expect(write(read(bytes))).toEqual(bytes)
    }),
    { numRuns: 200 },
  )
})

test('the order in which the terms stand does not show in the bytes; what is not wanted is not written', () => {
  expect(write({ idle: 5, confirm: true, lifetime: 9 })).toEqual(write({ lifetime: 9, confirm: true, idle: 5 }))
  expect(write({ confirm: false })).toHaveLength(0)
})

test('any bytes: terms, damaged or unsupported', () => {
  fc.assert(
    fc.property(fc.constantFrom(1, 2, 255, 3), fc.uint8Array({ maxLength: 120 }), (number, bytes) => {
      try {
        read(Buffer.concat([Buffer.of(number), bytes]))
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/^(damaged|unsupported)$/) })
      }
    }),
    { numRuns: 2000 },
  )
})
