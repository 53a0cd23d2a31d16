import { KeytoolError, PrivateKey, Writer } from '@keytool/keygen'
import { decodeMessage, encodeMessage, requests } from '../src/index.js'
import type { Hop, Terms } from '../src/terms.js'
import { body, own, read, recorded, write } from './constraints-support.js'

/** `ssh-add -h hana@ key`, OpenSSH 10.6p1: hana on every host. ssh-agent refuses it. */
const ANYWHERE =
  'GQAAAAtzc2gtZWQyNTUxOQAAACCdt2sQe+DlUdp+YudezsuyXnUa2hktrcgeKRbeF9bxzAAAAECalVfwMfAQ/dj836jXHqcWKEDdyN1Y8icKIZwnS7ZBOp23axB74OVR2n5i517Oy7JedRraGS2tyB4pFt4X1vHMAAAAAmVk/wAAACRyZXN0cmljdC1kZXN0aW5hdGlvbi12MDBAb3BlbnNzaC5jb20AAAAsAAAAKAAAAAwAAAAAAAAAAAAAAAAAAAAQAAAABGhhbmEAAAAAAAAAAAAAAAA='

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

test('the order in which the terms stand does not show in the bytes; what is not wanted is not written', () => {
  expect(write({ idle: 5, confirm: true, lifetime: 9 })).toEqual(write({ lifetime: 9, confirm: true, idle: 5 }))
  expect(write({ confirm: false })).toHaveLength(0)
})
