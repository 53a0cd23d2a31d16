import { generateKeyPairSync } from 'node:crypto'
import { readHostKey } from '../src/config/putty/host-keys.js'

const hex = (base64url: string | undefined) =>
  `0x${Buffer.from(base64url ?? '', 'base64url')
    .toString('hex')
    .replace(/^0+/, '')}`
const publicJwk = (curve: string) =>
  generateKeyPairSync('ec', { namedCurve: curve }).publicKey.export({ format: 'jwk' })

const P = 2n ** 255n - 19n
/** The base point of RFC 8032, section 5.1, and its encoding. */
const X = 15112221349535400772501151409588531511454012693041857206046113283949847762202n
const Y = 46316835694926478169428394003475163141307993866256225615783033603165251855960n
const BASE = `58${'66'.repeat(31)}`

const point = (x: bigint, y: bigint) => `0x${x.toString(16)},0x${y.toString(16)}`
const lastField = (blob: Buffer | undefined, size: number) => blob?.subarray(-size).toString('hex')

test.each([
  ['a point whose x is even', X, BASE],
  ['one whose x is odd', P - X, `${BASE.slice(0, 62)}e6`],
])('Ed25519: %s', (_, x, encoded) => {
  const found = readHostKey({ name: 'ssh-ed25519@22:mail.example', value: point(x, Y) })
  expect(found).toMatchObject({ host: 'mail.example', port: 22, key: { algorithm: { name: 'ssh-ed25519' } } })
  expect(lastField(found?.key.blob, 32)).toBe(encoded)
})

test.each([
  ['nistp256', 'P-256', 65],
  ['nistp384', 'P-384', 97],
  ['nistp521', 'P-521', 133],
])('ECDSA on %s', (name, curve, size) => {
  const { x, y } = publicJwk(curve)
  const found = readHostKey({ name: `ecdsa-sha2-${name}@2222:::1`, value: `${name},${hex(x)},${hex(y)}` })
  expect(found).toMatchObject({ host: '::1', port: 2222 })
  const pad = (text: string | undefined) =>
    Buffer.from(text ?? '', 'base64url')
      .toString('hex')
      .padStart(size - 1, '0')
  expect(lastField(found?.key.blob, size)).toBe(`04${pad(x)}${pad(y)}`)
})

test('RSA', () => {
  const { n, e } = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' })
  const found = readHostKey({ name: 'rsa2@22:[2001:db8::1]', value: `${hex(e)},${hex(n)}` })
  expect(found).toMatchObject({ host: '2001:db8::1', key: { bits: 2048 } })
  expect(lastField(found?.key.blob, 256)).toBe(hex(n).slice(2))
})

test.each([
  ['SSH-1', 'rsa@22:a', '0x23,0x12345'],
  ['Ed448', 'ssh-ed448@22:a', '0x1,0x2'],
])('%s is passed over', (_, name, value) => {
  expect(readHostKey({ name, value })).toBeUndefined()
})

const good = point(X, Y)
test.each([
  ['no name', 'x', good],
  ['no port', 'ssh-ed25519@:a', good],
  ['port 0', 'ssh-ed25519@0:a', good],
  ['port 65536', 'ssh-ed25519@65536:a', good],
  ['no host', 'ssh-ed25519@22:', good],
  ['an option', 'ssh-ed25519@22:-oProxyCommand=x', good],
  ['two names', 'ssh-ed25519@22:a,b', good],
  ['a pattern', 'ssh-ed25519@22:*', good],
  ['a mark', 'ssh-ed25519@22:@revoked', good],
  ['a line of its own', 'ssh-ed25519@22:a\nb ssh-rsa AAAA', good],
  ['an escape', 'ssh-ed25519@22:a\u001b[31m', good],
  ['a long host', `ssh-ed25519@22:${'a'.repeat(256)}`, good],
  ['an unknown kind', 'ssh-unknown@22:a', good],
  ['a kind of JavaScript’s', 'constructor@22:a', good],
  ['a point beside its curve', 'ssh-ed25519@22:a', point(X, Y + 1n)],
  ['a point over the field', 'ssh-ed25519@22:a', point(X + P, Y)],
  ['one number', 'ssh-ed25519@22:a', '0x1'],
  ['three numbers', 'ssh-ed25519@22:a', `${good},0x1`],
  ['decimal', 'ssh-ed25519@22:a', '1,2'],
  ['below zero', 'ssh-ed25519@22:a', '-0x1,0x2'],
  ['nothing', 'ssh-ed25519@22:a', ''],
  ['a curve for Ed25519', 'ssh-ed25519@22:a', `nistp256,${good}`],
  ['another curve', 'ecdsa-sha2-nistp256@22:a', 'nistp384,0x1,0x2'],
  ['no point of ECDSA', 'ecdsa-sha2-nistp256@22:a', 'nistp256,0x1,0x2'],
  ['too large for ECDSA', 'ecdsa-sha2-nistp256@22:a', `nistp256,0x${'f'.repeat(66)},0x1`],
  ['RSA of 8 bits', 'rsa2@22:a', '0x3,0xff'],
  ['RSA of a million bits', 'rsa2@22:a', `0x3,0x${'f'.repeat(250_000)}`],
])('%s is refused', (_, name, value) => {
  expect(() => readHostKey({ name, value })).toThrow(expect.objectContaining({ name: 'KeytoolError' }))
})
