import { FOREVER, readCertificate, verifyCertificate } from '../src/certificate.js'
import { fingerprint, fingerprintLine, puttyFingerprint } from '../src/fingerprint.js'
import { readPublicLines } from '../src/formats/lines/public.js'
import { encodeSignature, type PrivateKey, PublicKey } from '../src/key.js'
import { Writer } from '../src/wire.js'
import { sampleKey } from './sample-keys.js'

/**
 * `ssh-keygen -s ca -I 'hana 1' -n hana,root -z 7 -V 20200101000000Z:20380102030405Z -O clear
 * -O force-command='/bin/true "x"' -O permit-pty -O extension:x@example=abc key.pub`, OpenSSH 9.2.
 */
const USER =
  'ecdsa-sha2-nistp256-cert-v01@openssh.com AAAAKGVjZHNhLXNoYTItbmlzdHAyNTYtY2VydC12MDFAb3BlbnNzaC5jb20AAAAgnvPoajrRbKPeezSOYYSyyitIsxjM/vqVsQvdsuoPccQAAAAIbmlzdHAyNTYAAABBBMYgE+Q+qJwKUmvLOZtRg332XdErLy5PzfEqQ7XOq9J/aLUUuYt961jncQdt+UgS/A7fMyP5OR60cnG0D7zQNsUAAAAAAAAABwAAAAEAAAAGaGFuYSAxAAAAEAAAAARoYW5hAAAABHJvb3QAAAAAXgvhAAAAAAB/6ZQlAAAAJgAAAA1mb3JjZS1jb21tYW5kAAAAEQAAAA0vYmluL3RydWUgIngiAAAAKgAAAApwZXJtaXQtcHR5AAAAAAAAAAl4QGV4YW1wbGUAAAAHAAAAA2FiYwAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIL9hHq82K+e6NvhCL1SjhOKnRcU5dkM4gw7dfUCumM+zAAAAUwAAAAtzc2gtZWQyNTUxOQAAAEDAvs7LH+m5ukL+vgIYfV4aiBq7rGl/GtwJ9SOqOIGyVcNMSt0vjhCaTL0PmiFE/6j0F1Qgb+7IqqxEZF3ihwgL hana@example'
/** The authority of {@link USER}. */
const AUTHORITY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL9hHq82K+e6NvhCL1SjhOKnRcU5dkM4gw7dfUCumM+z authority'
/** `ssh-keygen -s rsa -t ssh-rsa -h -I web -n web.example key.pub`, OpenSSH 9.2: signed with SHA-1. */
const SHA1 =
  'ecdsa-sha2-nistp256-cert-v01@openssh.com AAAAKGVjZHNhLXNoYTItbmlzdHAyNTYtY2VydC12MDFAb3BlbnNzaC5jb20AAAAgWvnbBBNN9XicZ3TMQTbd+cBviAdeEwmM4iTx3lvqW3QAAAAIbmlzdHAyNTYAAABBBMYgE+Q+qJwKUmvLOZtRg332XdErLy5PzfEqQ7XOq9J/aLUUuYt961jncQdt+UgS/A7fMyP5OR60cnG0D7zQNsUAAAAAAAAAAAAAAAIAAAADd2ViAAAADwAAAAt3ZWIuZXhhbXBsZQAAAAAAAAAA//////////8AAAAAAAAAAAAAAAAAAAEXAAAAB3NzaC1yc2EAAAADAQABAAABAQCo6czLQAKCV8pW24xluEO4670e2F9xt1POJ9tn8ZfQOX7qFPozTet2AAPqsjL7U7OvsQVFAD4BL3UbyJ4yCT2Fp4UHbZiZqJkS6NGjnbNASMuPIr3ZvqgNDpiUODetWLBBK2561aZ5s7LeGvZXsM4D2kBbzZ64MJUuRU+uTvuoZn6y2i1OIgvC4h4SAiLnohgwABvaoxnh5tI/pA8q4iEbLom+YC/HHgaOtGcYXKDXNHufAEIwk+K4sUK61doZCkYPhyFAAY4oM6+QbrarLBNEpUxAHpW8NEYMGzXG7nFjdg+sqBL1Z5WVxyY7ulBFIoyFBmJByHF+lhDe+oA6d1R1AAABDwAAAAdzc2gtcnNhAAABAE57oMp+zdDModIbk0kpjCIWGmxc2kc7N5RLAtf/Ce4zVeH0seqWAm2yzNQyBqmV9WAIMCtNCuDZw6hwXUc3MpJhmlNLLiJa0zphWYTOi3fOwPk2JyjS3eYjGeRvOw6Gto8g8KDQxC/vEZI2B1HRnwmVZjcWdhrthLbgV2lNUo37yV8cp2dRDbgRj73JsiFVlM+ckDcL7Q0byYMawHYn1HimUggcSaBpwpmvqCrhb7HBOv31bcMkVBIfsVp1XBeuxO0HkWweaijxnV+WFX3kcaCk7Td+2f+B/cAH+ldcvIkCNI1t4zuR4KyPvElN1kU9IMuu+ABo0E+gUbxd05sAiF4= hana@example'

function keyIn(line: string): PublicKey {
  const [key] = readPublicLines(Buffer.from(line))
  if (!key) throw new Error('no key')
  return key
}

test("a user's certificate by ssh-keygen: all that it says", async () => {
  const key = keyIn(USER)
  const found = readCertificate(key)
  expect(found).toMatchObject({
    serial: 7n,
    kind: 'user',
    keyId: 'hana 1',
    principals: ['hana', 'root'],
    validAfter: BigInt(Date.UTC(2020, 0, 1) / 1000),
    validBefore: BigInt(Date.UTC(2038, 0, 2, 3, 4, 5) / 1000),
    criticalOptions: [{ name: 'force-command', value: '/bin/true "x"' }],
    extensions: [
      { name: 'permit-pty', data: Buffer.alloc(0) },
      { name: 'x@example', value: 'abc' },
    ],
  })
  expect(found?.extensions[0]).not.toHaveProperty('value')
  expect(found?.authority.equals(keyIn(AUTHORITY))).toBe(true)
  expect(found?.signature.scheme).toBe('ssh-ed25519')
  expect(await verifyCertificate(key)).toBe(true)
  expect(key.comment).toBe('hana@example')
  // Its fingerprint is its key's.
  expect(fingerprint(key)).toBe(fingerprint(key.plain))
  expect(fingerprintLine(key)).toBe('256 SHA256:EKaROejyxnT9r4JgDa02utHUgbB073lmwLLilEuYW1w hana@example (ECDSA-CERT)')
  expect(puttyFingerprint(key)).toBe(
    'ecdsa-sha2-nistp256-cert-v01@openssh.com 256 SHA256:EKaROejyxnT9r4JgDa02utHUgbB073lmwLLilEuYW1w',
  )
})

test("a host's certificate that is signed with SHA-1: read, but it proves nothing", async () => {
  const key = keyIn(SHA1)
  expect(readCertificate(key)).toMatchObject({ kind: 'host', validAfter: 0n, validBefore: FOREVER, extensions: [] })
  expect(readCertificate(key)?.signature.scheme).toBe('ssh-rsa')
  expect(await verifyCertificate(key)).toBe(false)
})

test('one bit turned anywhere: another signature, or no certificate', async () => {
  const key = keyIn(USER)
  for (let at = 0; at < key.blob.length; at++) {
    const blob = Buffer.from(key.blob)
    blob[at] = (blob[at] ?? 0) ^ (1 << (at % 8))
    const outcome = await verify(blob).catch(error => error.code)
    expect([false, 'damaged', 'unsupported']).toContain(outcome)
  }
})

async function verify(blob: Buffer): Promise<boolean> {
  return verifyCertificate(PublicKey.fromBlob(blob))
}

test('a plain key is no certificate', async () => {
  const key = keyIn(AUTHORITY)
  expect(readCertificate(key)).toBeUndefined()
  await expect(verifyCertificate(key)).rejects.toMatchObject({ code: 'usage' })
})

interface Claims {
  kind?: number
  keyId?: string
  principals?: readonly string[]
  critical?: Buffer
  extensions?: Buffer
  authority?: Buffer
}

/** A certificate of our own making, so that it can be odd. */
async function certify(subject: PrivateKey, authority: PrivateKey, claims: Claims = {}): Promise<Buffer> {
  const packed = new Writer()
  for (const name of claims.principals ?? []) packed.text(name)
  const { algorithm, parts } = subject.publicKey
  const writer = new Writer().text(`${algorithm.name}-cert-v01@openssh.com`).string(Buffer.alloc(32))
  algorithm.publicFields.write(writer, parts)
  writer
    .uint64(1n)
    .uint32(claims.kind ?? 1)
    .text(claims.keyId ?? '')
    .string(packed.done())
    .uint64(0n)
    .uint64(FOREVER)
  writer
    .string(claims.critical ?? Buffer.alloc(0))
    .string(claims.extensions ?? Buffer.alloc(0))
    .text('')
  writer.string(claims.authority ?? authority.publicKey.blob)
  const signed = writer.done()
  return new Writer()
    .bytes(signed)
    .string(encodeSignature(await authority.sign(signed)))
    .done()
}

describe('limits', () => {
  let subject: PrivateKey
  let authority: PrivateKey
  beforeAll(async () => {
    ;[subject, authority] = await Promise.all([sampleKey('ed25519'), sampleKey('ecdsa-384')])
  })
  const names = (count: number) => Array.from({ length: count }, (_, i) => `user${i}`)
  const option = (name: string, data = '') => new Writer().text(name).text(data).done()

  test('what OpenSSH takes', async () => {
    const key = PublicKey.fromBlob(await certify(subject, authority, { principals: names(256) }))
    expect(readCertificate(key)?.principals).toHaveLength(256)
    expect(await verifyCertificate(key)).toBe(true)
    // The format wants options in order; OpenSSH does not mind.
    const mixed = Buffer.concat([option('b'), option('a')])
    const odd = PublicKey.fromBlob(await certify(subject, authority, { extensions: mixed, keyId: 'ключ' }))
    expect(readCertificate(odd)?.extensions.map(({ name }) => name)).toEqual(['b', 'a'])
    expect(readCertificate(odd)?.keyId).toBe('ключ')
  })

  test.each<[string, string, () => Claims]>([
    ['257 principals', 'damaged', () => ({ principals: names(257) })],
    ['a principal with a NUL', 'damaged', () => ({ principals: ['root\0x'] })],
    ['a key id with a NUL', 'damaged', () => ({ keyId: 'a\0b' })],
    ['a third kind', 'unsupported', () => ({ kind: 3 })],
    ['an option without its data', 'damaged', () => ({ critical: new Writer().text('a').done() })],
    ['half an option', 'damaged', () => ({ extensions: Buffer.of(0, 0, 0, 9, 1) })],
    ['the same option twice', 'damaged', () => ({ critical: Buffer.concat([option('a'), option('a')]) })],
  ])('%s: %s, as soon as it is read', async (_name, code, claims) => {
    const blob = await certify(subject, authority, claims())
    expect(() => PublicKey.fromBlob(blob)).toThrow(expect.objectContaining({ code }))
  })

  test('a certificate may sign nothing', async () => {
    const first = await certify(authority, authority).catch(() => Buffer.alloc(0))
    const blob = await certify(subject, authority, { authority: first })
    expect(() => readCertificate(PublicKey.fromBlob(blob))).toThrow(
      expect.objectContaining({ code: 'damaged', message: expect.stringContaining('may sign nothing') }),
    )
  })

  test("another authority's signature", async () => {
    const other = await sampleKey('ecdsa-384')
    const blob = await certify(subject, other, { authority: authority.publicKey.blob })
    expect(await verifyCertificate(PublicKey.fromBlob(blob))).toBe(false)
  })
})
