import { generate, type PrivateKey, PublicKey, publicAlgorithmNamed, Writer } from '@keytool/keygen'
import fc from 'fast-check'
import { readPurpose } from '../src/purpose.js'

interface Recorded {
  readonly key: Buffer
  readonly data: Buffer
}

function recorded(key: string, data: string): Recorded {
  return { key: Buffer.from(key, 'base64'), data: Buffer.from(data, 'base64') }
}

/** What ssh 9.2 has its agent sign to log in as root at an sshd of OpenSSH 9.2, with an Ed25519 key. */
const SSH = recorded(
  'AAAAC3NzaC1lZDI1NTE5AAAAIJ23axB74OVR2n5i517Oy7JedRraGS2tyB4pFt4X1vHM',
  'AAAAQNejsJ8Iw7X8MBaqXDRlQD8vsDTqWCWuPsSDz6M98Y1nIbpHLGuNe9h1BeLqlUa1VlMhiygoVTQhG6iAjNNlumkyAAAABHJvb3QAAAAOc3NoLWNvbm5lY3Rpb24AAAAjcHVibGlja2V5LWhvc3Rib3VuZC12MDBAb3BlbnNzaC5jb20BAAAAC3NzaC1lZDI1NTE5AAAAMwAAAAtzc2gtZWQyNTUxOQAAACCdt2sQe+DlUdp+YudezsuyXnUa2hktrcgeKRbeF9bxzAAAADMAAAALc3NoLWVkMjU1MTkAAAAgKeKn418z92w4+wTFWGV9bb9CnRM35tqWoJgxlBBiZHo=',
)
/** The same with an RSA key: the algorithm is not the key's own name. */
const SSH_RSA = recorded(
  'AAAAB3NzaC1yc2EAAAADAQABAAAAgQDDH0ShI63cTQbMyvHKE0nFWtnywOh7FYpql/RjEZthXkq1GEmgV6wCf1C3+wq3TM68pNB5FnJy/0nrrqlaUsu4qjjA9ZW46ecLVhES0CQ1JmachhgCqMRG2NmuSRpJPxF1JCIV0A93vcEVslcdXArH1nkwY2+NECe+RRhRqpK6/w==',
  'AAAAQHvun+QFMepKARlLEMDNaCoWwhAvnJRZ9BfLq/fcpkM6sQFdlEfPrpZbNoi6nWVNFFFcoGZAYl6CUnZsNX4VPdAyAAAABHJvb3QAAAAOc3NoLWNvbm5lY3Rpb24AAAAjcHVibGlja2V5LWhvc3Rib3VuZC12MDBAb3BlbnNzaC5jb20BAAAADHJzYS1zaGEyLTUxMgAAAJcAAAAHc3NoLXJzYQAAAAMBAAEAAACBAMMfRKEjrdxNBszK8coTScVa2fLA6HsVimqX9GMRm2FeSrUYSaBXrAJ/ULf7CrdMzryk0HkWcnL/SeuuqVpSy7iqOMD1lbjp5wtWERLQJDUmZpyGGAKoxEbY2a5JGkk/EXUkIhXQD3e9wRWyVx1cCsfWeTBjb40QJ75FGFGqkrr/AAAAMwAAAAtzc2gtZWQyNTUxOQAAACAp4qfjXzP3bDj7BMVYZX1tv0KdEzfm2pagmDGUEGJkeg==',
)
/** The same by plink 0.78, which knows of no bound hosts. */
const PLINK = recorded(
  'AAAAC3NzaC1lZDI1NTE5AAAAIJ23axB74OVR2n5i517Oy7JedRraGS2tyB4pFt4X1vHM',
  'AAAAQNsZqUkM7/knbwHkZb4+nEIY4k49QRmscEXHj7YL2LNtanWLe8/cnHYO5dg0O6Tc1h4EMbnpBAYyE5fk5JtIC4kyAAAABHJvb3QAAAAOc3NoLWNvbm5lY3Rpb24AAAAJcHVibGlja2V5AQAAAAtzc2gtZWQyNTUxOQAAADMAAAALc3NoLWVkMjU1MTkAAAAgnbdrEHvg5VHafmLnXs7Lsl51GtoZLa3IHikW3hfW8cw=',
)
/** `ssh-keygen -Y sign -n file -f key.pub message`, OpenSSH 9.2. */
const SSHSIG = recorded(
  'AAAAC3NzaC1lZDI1NTE5AAAAIJ23axB74OVR2n5i517Oy7JedRraGS2tyB4pFt4X1vHM',
  'U1NIU0lHAAAABGZpbGUAAAAAAAAABnNoYTUxMgAAAEDXirsFQnNoZflHBFIWCcIw2sA6LzadBDrCEtaTO5FBDgY5njf5xcyIQ2oxc3MwwcjsyywvnzdNYvcWQyoy1Q+s',
)
/** The host's key in {@link SSH} and {@link SSH_RSA}. */
const HOST = Buffer.from('AAAAC3NzaC1lZDI1NTE5AAAAICnip+NfM/dsOPsExVhlfW2/Qp0TN+balqCYMZQQYmR6', 'base64')

const kindOf = ({ data, key }: Recorded) => readPurpose(data, key).kind

test.each([
  ['ssh', SSH],
  ['ssh with RSA', SSH_RSA],
])('%s: a login that is bound to its host', (_name, { data, key }) => {
  const purpose = readPurpose(data, key)
  expect(purpose).toMatchObject({ kind: 'login', user: 'root', sessionId: data.subarray(4, 4 + 64) })
  expect(purpose).toHaveProperty('hostKey.blob', HOST)
  // The second time it is remembered, and the same.
  expect(readPurpose(data, key)).toEqual(purpose)
})

test('plink: a login that is not', () => {
  const { data, key } = PLINK
  expect(readPurpose(data, key)).toEqual({ kind: 'login', user: 'root', sessionId: data.subarray(4, 4 + 64) })
})

test('ssh-keygen: a file', () => {
  expect(readPurpose(SSHSIG.data, SSHSIG.key)).toEqual({ kind: 'sshsig', namespace: 'file' })
})

const all = { SSH, SSH_RSA, PLINK, SSHSIG }

test.each(Object.entries(all))('%s: cut anywhere, or with a byte too many, it is unknown', (_name, { data, key }) => {
  for (let length = 0; length < data.length; length++)
    expect(kindOf({ data: data.subarray(0, length), key })).toBe('unknown')
  expect(kindOf({ data: Buffer.concat([data, Buffer.of(0)]), key })).toBe('unknown')
})

test.each(Object.entries(all))('%s: a bit turned shows in what is read, or it is unknown', (_name, { data, key }) => {
  const right = JSON.stringify(readPurpose(data, key))
  for (let at = 0; at < data.length; at++) {
    const turned = Buffer.from(data)
    turned[at] = (turned[at] ?? 0) ^ (1 << (at % 8))
    const purpose = readPurpose(turned, key)
    // Of a file only the namespace is told, not the hash of the message.
    if (purpose.kind === 'sshsig') expect([data.length - at <= 64, purpose.namespace !== 'file']).toContain(true)
    else if (purpose.kind === 'login') expect(JSON.stringify(purpose)).not.toBe(right)
  }
})

test('a login with another key than the one that is to sign', () => {
  expect(kindOf({ data: SSH.data, key: SSH_RSA.key })).toBe('unknown')
  const turned = Buffer.from(SSH.key)
  turned[turned.length - 1] = (turned.at(-1) ?? 0) ^ 1
  expect(kindOf({ data: SSH.data, key: turned })).toBe('unknown')
})

/** The fields of a login, each of which can be another. */
interface Login {
  sessionId?: Uint8Array
  number?: number
  user?: Uint8Array
  service?: string
  method?: string
  signs?: number
  algorithm?: string
  key?: Buffer
  tail?: Uint8Array
}

const HOSTBOUND = 'publickey-hostbound-v00@openssh.com'
const ID = Buffer.alloc(32, 1)

function login(login: Login = {}): Recorded {
  const { sessionId = ID, number = 50, user = Buffer.from('hana'), service = 'ssh-connection', key = SSH.key } = login
  const { method = 'publickey', signs = 1, algorithm = 'ssh-ed25519', tail = Buffer.alloc(0) } = login
  const writer = new Writer().string(sessionId).byte(number).string(user).text(service).text(method).byte(signs)
  return { key, data: writer.text(algorithm).string(key).bytes(tail).done() }
}

const inString = (bytes: Uint8Array) => new Writer().string(bytes).done()

test('logins of our own making are logins', () => {
  expect(kindOf(login())).toBe('login')
  expect(kindOf(login({ method: HOSTBOUND, tail: inString(HOST) }))).toBe('login')
  expect(readPurpose(login({ user: Buffer.alloc(0) }).data, SSH.key)).toMatchObject({ user: '' })
  expect(readPurpose(login({ user: Buffer.from('žluťoučký') }).data, SSH.key)).toMatchObject({ user: 'žluťoučký' })
})

test.each<[string, Login]>([
  ['no session id', { sessionId: Buffer.alloc(0) }],
  ['another message', { number: 51 }],
  ['another service', { service: 'ssh-userauth' }],
  ['a service that only begins right', { service: 'ssh-connection\0' }],
  ['another method', { method: 'hostbased' }],
  ['only a question whether the key would do', { signs: 0 }],
  ['a boolean that is neither', { signs: 255 }],
  ['a user with a zero byte', { user: Buffer.from('root\0') }],
  ['a user that is not UTF-8', { user: Buffer.of(0xff) }],
  ['another type of algorithm', { algorithm: 'ssh-rsa' }],
  ['no algorithm', { algorithm: '' }],
  ['a plain login with a host key behind it', { tail: inString(HOST) }],
  ['a bound login without one', { method: HOSTBOUND }],
  ['a bound login whose host key is none', { method: HOSTBOUND, tail: inString(Buffer.of(1, 2, 3)) }],
  ['a bound login with an empty one', { method: HOSTBOUND, tail: inString(Buffer.alloc(0)) }],
  ['a bound login with two', { method: HOSTBOUND, tail: Buffer.concat([inString(HOST), inString(HOST)]) }],
])('%s: unknown', (_name, odd) => {
  expect(kindOf(login(odd))).toBe('unknown')
})

describe('algorithms', () => {
  let keys: readonly PrivateKey[] = []
  beforeAll(async () => {
    keys = await Promise.all([generate('ecdsa-256'), generate('ecdsa-384'), generate('rsa', { bits: 2048 })])
  })
  const blobs = () => keys.map(({ publicKey }) => publicKey.blob)
  const accepted = (key: Buffer, ...names: readonly string[]) =>
    names.filter(algorithm => kindOf(login({ key, algorithm })) === 'login')

  test("a curve's name is that of its keys alone", () => {
    const names = ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384']
    const [p256, p384] = blobs()
    expect(accepted(p256 ?? HOST, ...names)).toEqual(names.slice(0, 1))
    expect(accepted(p384 ?? HOST, ...names)).toEqual(names.slice(1))
  })

  test('RSA has several, and so have its certificates', () => {
    const plain = ['ssh-rsa', 'rsa-sha2-256', 'rsa-sha2-512']
    const certified = plain.map(name => `${name}-cert-v01@openssh.com`)
    const rsa = keys[2]
    if (!rsa) throw new Error('no key')
    expect(accepted(rsa.publicKey.blob, ...plain, ...certified, 'rsa-sha2-384')).toEqual(plain)
    const certificate = certificateOf(rsa.publicKey)
    expect(accepted(certificate.blob, ...plain, ...certified)).toEqual(certified)
  })

  test('a type that nobody here knows has its own name', () => {
    const key = new Writer().text('new@example.com').string(Buffer.from('key')).done()
    expect(accepted(key, 'new@example.com', 'ssh-rsa', '')).toEqual(['new@example.com'])
    expect(accepted(Buffer.alloc(0), '', 'ssh-rsa')).toEqual([])
  })
})

test('a login that shows a certificate of the key that signs, and of no other', async () => {
  const [key, other] = await Promise.all([generate('ed25519'), generate('ed25519')])
  const certificate = certificateOf(key.publicKey)
  const { data } = login({ key: certificate.blob, algorithm: certificate.algorithm.name })
  expect(readPurpose(data, key.publicKey.blob)).toEqual({
    kind: 'login',
    user: 'hana',
    sessionId: ID,
    certified: true,
  })
  // Held with the certificate: the certificate is the key.
  expect(readPurpose(data, certificate.blob)).toEqual({ kind: 'login', user: 'hana', sessionId: ID })
  expect(readPurpose(data, other.publicKey.blob).kind).toBe('unknown')
  const renamed = login({ key: certificate.blob, algorithm: key.algorithm.name })
  expect(readPurpose(renamed.data, key.publicKey.blob).kind).toBe('unknown')
  // The other way round: the bare key is shown, and a certificate is to sign.
  const bare = login({ key: key.publicKey.blob })
  expect(readPurpose(bare.data, certificate.blob).kind).toBe('unknown')
})

/** One that nobody signed: who may log in with it is the server's to say. */
function certificateOf(key: PublicKey): PublicKey {
  const empty = ['nonce', 'keyId', 'principals', 'critical', 'extensions', 'reserved', 'authority', 'signature']
  const parts = Object.fromEntries(empty.map(name => [name, Buffer.alloc(0)]))
  const sized = {
    serial: Buffer.alloc(8),
    kind: Buffer.of(0, 0, 0, 1),
    after: Buffer.alloc(8),
    before: Buffer.alloc(8),
  }
  return PublicKey.fromParts(publicAlgorithmNamed(`${key.algorithm.name}-cert-v01@openssh.com`), {
    ...key.parts,
    ...parts,
    ...sized,
  })
}

test('many hosts: none is taken for another', async () => {
  const hosts = await Promise.all(Array.from({ length: 150 }, () => generate('ed25519')))
  for (const { publicKey } of [...hosts, ...hosts]) {
    const { data, key } = login({ method: HOSTBOUND, tail: inString(publicKey.blob) })
    expect(readPurpose(data, key)).toHaveProperty('hostKey.blob', publicKey.blob)
  }
})

function signed(namespace: Uint8Array, hash = 'sha256', length = 32, tail = ''): Buffer {
  const writer = new Writer().bytes(Buffer.from('SSHSIG')).string(namespace).text('reserved').text(hash)
  return writer.string(Buffer.alloc(length)).bytes(Buffer.from(tail)).done()
}

test.each<[string, string, Buffer]>([
  ['git', 'sshsig', signed(Buffer.from('git'))],
  ['sha512', 'sshsig', signed(Buffer.from('git'), 'sha512', 64)],
  ['no namespace', 'unknown', signed(Buffer.alloc(0))],
  ['a namespace with a zero byte', 'unknown', signed(Buffer.from('git\0'))],
  ['a namespace that is not UTF-8', 'unknown', signed(Buffer.of(0xff))],
  ['another hash', 'unknown', signed(Buffer.from('git'), 'md5', 16)],
  ['a hash of another length', 'unknown', signed(Buffer.from('git'), 'sha256', 64)],
  ['a byte too many', 'unknown', signed(Buffer.from('git'), 'sha256', 32, 'x')],
])('signed files, %s: %s', (_name, kind, data) => {
  expect(kindOf({ data, key: SSH.key })).toBe(kind)
})

test('any bytes and any key: never an error', () => {
  const bytes = fc.uint8Array({ maxLength: 200 }).map(array => Buffer.from(array))
  const begun = bytes.map(tail => Buffer.concat([Buffer.from('SSHSIG'), tail]))
  fc.assert(
    fc.property(fc.oneof(bytes, begun), fc.oneof(bytes, fc.constant(SSH.key)), (data, key) => {
      expect(['unknown', 'sshsig']).toContain(kindOf({ data, key }))
    }),
    { numRuns: 2000 },
  )
})
