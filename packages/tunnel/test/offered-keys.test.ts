import { generate, type PrivateKey, PublicKey, type Signer, Writer } from '@keytool/keygen'
import { Authentication } from '../src/connection/auth.js'
import { findUserTrouble } from '../src/connection/certificate-trouble.js'
import { offerKeys } from '../src/connection/offered-keys.js'
import { acceptedBy, describeCredential } from '../src/connection/public-key.js'

let a: PrivateKey
let b: PrivateKey
let rsa: PrivateKey

beforeAll(async () => {
  a = await generate('ed25519')
  b = await generate('ecdsa-256')
  rsa = await generate('rsa', { bits: 2048 })
})

/** A certificate that nobody has signed: who logs in does not look at that. */
function certificateOf(
  { publicKey }: Signer,
  options: { serial?: bigint; before?: bigint; users?: string[] } = {},
): PublicKey {
  const { serial = 1n, before = 0xffffffffffffffffn, users = ['hana'] } = options
  const principals = new Writer()
  for (const user of users) principals.text(user)
  const plain = publicKey.blob.subarray(4 + publicKey.algorithm.name.length)
  const blob = new Writer()
    .text(`${publicKey.algorithm.name}-cert-v01@openssh.com`)
    .string(Buffer.alloc(32))
    .bytes(plain)
    .uint64(serial)
    .uint32(1)
    .text('test')
    .string(principals.done())
    .uint64(0n)
    .uint64(before)
    .text('')
    .text('')
    .text('')
    .string(a.publicKey.blob)
    .string(new Writer().text('ssh-ed25519').string(Buffer.alloc(64)).done())
  return PublicKey.fromBlob(blob.done())
}

const holding = (key: PrivateKey, certificate?: PublicKey): Signer => ({
  publicKey: key.publicKey,
  ...(certificate && { certificate }),
  sign: (data, options) => key.sign(data, options),
})

test('each key comes behind its certificates, each certificate once', () => {
  const [one, two] = [certificateOf(a), certificateOf(a, { serial: 2n })]
  const agentA = holding(a)
  const agentB = holding(b)
  const signers = [agentA, agentB, holding(a, one), holding(a, two), holding(a, certificateOf(a))]
  const offers = offerKeys(signers)
  expect(offers.map(({ certificate }) => certificate && Buffer.from(certificate.parts['serial'] ?? []).at(-1))).toEqual(
    [1, 2, undefined, undefined],
  )
  expect(offers.slice(2).map(({ signer }) => signer)).toEqual([agentA, agentB])
})

test('who holds a key with its certificate only offers both; two who hold a key are both asked', () => {
  const only = holding(a, certificateOf(a))
  expect(offerKeys([only]).map(({ certificate }) => certificate !== undefined)).toEqual([true, false])
  const [first, second] = [holding(b), holding(b)]
  expect(offerKeys([first, second]).map(({ signer }) => signer)).toEqual([first, second])
  expect(offerKeys([])).toEqual([])
})

describe('the name under which a key logs in', () => {
  const names = ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa']

  test('is the type’s own, or its certificate’s', () => {
    const certificate = certificateOf(b)
    expect(describeCredential({ signer: b }, undefined)).toMatchObject({ algorithm: 'ecdsa-sha2-nistp256' })
    const shown = describeCredential({ signer: b, certificate }, undefined)
    expect(shown).toMatchObject({ algorithm: 'ecdsa-sha2-nistp256-cert-v01@openssh.com', blob: certificate.blob })
    expect(shown).not.toHaveProperty('hash')
  })

  test.each<[readonly string[], object]>([
    [names, { algorithm: 'rsa-sha2-256', hash: 'sha256' }],
    [['rsa-sha2-512'], { algorithm: 'rsa-sha2-512', hash: 'sha512' }],
  ])('is that of RSA’s which the server takes: %j', (accepted, expected) => {
    expect(describeCredential({ signer: rsa }, accepted)).toMatchObject(expected)
    const certificate = certificateOf(rsa)
    const name = `${(expected as { algorithm: string }).algorithm}-cert-v01@openssh.com`
    expect(describeCredential({ signer: rsa, certificate }, accepted)).toMatchObject({ ...expected, algorithm: name })
  })

  test.each([[undefined], [[]], [['ssh-rsa', 'ssh-ed25519']]])('is none for RSA where it takes %j', accepted => {
    expect(() => describeCredential({ signer: rsa }, accepted)).toThrow('SHA-1 only')
  })

  test('OpenSSH 7.4 takes what it does not say', () => {
    expect(acceptedBy('OpenSSH_7.4', undefined)).toEqual(['rsa-sha2-256', 'rsa-sha2-512'])
    expect(acceptedBy('OpenSSH_7.4p1 Debian', ['ssh-rsa'])).toContain('rsa-sha2-512')
    expect(acceptedBy('OpenSSH_9.2', undefined)).toBeUndefined()
  })
})

test('a key of a type that can’t be used there is passed over, and that is told when nothing else was left', async () => {
  const authentication = new Authentication({ user: 'hana', host: 'shop.example', signers: [rsa] })
  await authentication.next()
  await authentication.next({ methods: ['publickey'], partial: false })
  authentication.noteSignError(new Error('no'))
  await expect(authentication.next({ methods: ['publickey'], partial: false })).rejects.toMatchObject({
    code: 'failed',
    message: 'the key could not sign',
  })
})

describe('what is wrong with a certificate', () => {
  const noon = Date.UTC(2026, 0, 2, 12)

  test.each<[string, object, string | undefined]>([
    ['nothing', {}, undefined],
    ['its second is over', { before: BigInt(noon / 1000) }, 'it expired on 2026-01-02 12:00'],
    ['its last second', { before: BigInt(noon / 1000) + 1n }, undefined],
    ['other users', { users: ['ben', 'eve\u001b[2J'] }, 'it is for ben, eve\\u{1b}[2J'],
    ['no user', { users: [] }, 'it is for nobody'],
  ])('%s', (_what, options, trouble) => {
    expect(findUserTrouble(certificateOf(a, options), 'hana', noon)).toBe(trouble)
  })

  test('a plain key has none', () => {
    expect(findUserTrouble(a.publicKey, 'hana', noon)).toBeUndefined()
  })

  test('is told when it was refused, at the time it is', async () => {
    const signers = [holding(a, certificateOf(a, { before: BigInt(noon / 1000) }))]
    const refused = async (now: number) => {
      const authentication = new Authentication({ user: 'hana', host: 'shop.example', signers, now: () => now })
      await authentication.next()
      const refusal = { methods: ['publickey'], partial: false }
      for (let i = 0; i < 2; i++) await authentication.next(refusal)
      return await authentication.next(refusal).catch(error => error)
    }
    expect(await refused(noon)).toMatchObject({
      message: 'shop.example refuses the key offered for hana',
      reason: 'of the certificate: it expired on 2026-01-02 12:00; it offers publickey',
    })
    expect(await refused(noon - 1000)).toMatchObject({ reason: 'it offers publickey' })
  })
})
