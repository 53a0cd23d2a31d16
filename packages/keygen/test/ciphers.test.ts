import { randomBytes } from 'node:crypto'
import { writePublicLine } from '../src/formats/lines/public.js'
import { openssh } from '../src/formats/openssh.js'
import { cipherNamed, cipherOfFile, ciphers, decrypt, encrypt } from '../src/protect/ciphers.js'
import { poly1305 } from '../src/protect/poly1305.js'

/** `ssh-keygen -t ed25519 -Z chacha20-poly1305@openssh.com -a 1 -N secret -C hana@example -f key`, OpenSSH 9.2. */
const CHACHA_FILE = `-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAAHWNoYWNoYTIwLXBvbHkxMzA1QG9wZW5zc2guY29tAAAABm
JjcnlwdAAAABgAAAAQZ3E7Hd4fbugaGvxDWDVidAAAAAEAAAABAAAAMwAAAAtzc2gtZWQy
NTUxOQAAACBpOc0nbcYrT14B4GD7zncPz9MwjJ38gA+8YUqSOUKuYwAAAJDv7gieYf+itu
VnyYlQqn8ufhV0nJV9GxcQt5hO6e6MudG7swt2GpIXu9kgDbdxsv4nUbGCQ8wDm1QrOB14
L1LP36xppCuftU3+utS50WqPf2gaAzMDWXqjM7X0KKxwFj0GX06yo3O1goS5e58lRdmOl3
sRjf3bZuW5iOvjUn+HrIlT6sVNeJMd0TpTDSih3MXsdRamdq1WbTTlXlUAoh4T
-----END OPENSSH PRIVATE KEY-----`
const CHACHA_PUBLIC = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk5zSdtxitPXgHgYPvOdw/P0zCMnfyAD7xhSpI5Qq5j hana@example'

describe('Poly1305', () => {
  test('the example of RFC 8439 section 2.5.2', () => {
    const key = Buffer.from('85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b', 'hex')
    const tag = poly1305(key, Buffer.from('Cryptographic Forum Research Group'))
    expect(tag.toString('hex')).toBe('a8061dc1305136c6c22b8baf0c0127a9')
  })

  // RFC 8439 appendix A.3, vectors 7 to 9: sums at and beyond the prime.
  test.each([
    ['0100', `${'ff'.repeat(16)}f0${'ff'.repeat(15)}11${'00'.repeat(15)}`, `05${'00'.repeat(15)}`],
    ['0100', `${'ff'.repeat(16)}fb${'fe'.repeat(15)}${'01'.repeat(16)}`, '00'.repeat(16)],
    ['0200', `fd${'ff'.repeat(15)}`, `fa${'ff'.repeat(15)}`],
  ])('r of %s..., message %s', (r, message, tag) => {
    const key = Buffer.concat([Buffer.from(r.padEnd(32, '0'), 'hex'), Buffer.alloc(16)])
    expect(poly1305(key, Buffer.from(message, 'hex')).toString('hex')).toBe(tag)
  })
})

describe.each(ciphers.map(cipher => [cipher.name, cipher] as const))('%s', (_name, cipher) => {
  const secret = randomBytes(cipher.key + cipher.iv)

  test('opens what it sealed', () => {
    for (const blocks of [1, 2, 3, 40]) {
      const plain = randomBytes(blocks * cipher.block)
      const sealed = encrypt(cipher, secret, plain)
      expect(sealed).toHaveLength(plain.length + cipher.tag)
      expect(sealed.includes(plain.subarray(0, cipher.block))).toBe(false)
      expect(decrypt(cipher, secret, sealed)).toEqual(plain)
      // From a view that does not begin where its memory does.
      const moved = Buffer.concat([Buffer.alloc(5), sealed]).subarray(5)
      expect(decrypt(cipher, secret, moved)).toEqual(plain)
    }
  })

  test('takes whole blocks only', () => {
    const sealed = encrypt(cipher, secret, randomBytes(2 * cipher.block))
    for (const wrong of [
      sealed.subarray(1),
      Buffer.concat([sealed, Buffer.of(0)]),
      sealed.subarray(0, cipher.tag - 1),
    ]) {
      expect(() => decrypt(cipher, secret, wrong)).toThrow(expect.objectContaining({ code: 'damaged' }))
    }
  })

  const authenticated = cipher.tag > 0
  test(`an altered bit is ${authenticated ? 'refused' : 'another plain text'}`, () => {
    const plain = randomBytes(2 * cipher.block)
    const sealed = encrypt(cipher, secret, plain)
    for (let at = 0; at < sealed.length; at++) {
      const altered = Buffer.from(sealed)
      altered[at] = (altered[at] ?? 0) ^ 0x80
      if (authenticated) {
        expect(() => decrypt(cipher, secret, altered)).toThrow(expect.objectContaining({ code: 'secret-wrong' }))
      } else expect(decrypt(cipher, secret, altered)).not.toEqual(plain)
    }
  })
})

test('chacha20-poly1305: the second half of its key has no part in it', () => {
  const cipher = cipherNamed('chacha20-poly1305@openssh.com')
  const key = randomBytes(32)
  const plain = randomBytes(64)
  const [one, other] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)].map(half =>
    encrypt(cipher, Buffer.concat([key, half]), plain),
  )
  expect(one).toEqual(other)
})

test('chacha20-poly1305: reads what ssh-keygen wrote', async () => {
  const file = Buffer.from(CHACHA_FILE)
  const key = await openssh.read(file, { passphrase: Buffer.from('secret') })
  expect(writePublicLine(key.publicKey)).toBe(`${CHACHA_PUBLIC}\n`)
  await expect(openssh.read(file, { passphrase: Buffer.from('Secret') })).rejects.toMatchObject({
    code: 'secret-wrong',
    message: 'wrong passphrase',
  })
})

test('old names', () => {
  expect(cipherOfFile('rijndael-cbc@lysator.liu.se')).toBe(cipherNamed('aes256-cbc'))
  for (const name of ['blowfish-cbc', 'cast128-cbc', 'arcfour', 'arcfour128', 'arcfour256']) {
    expect(() => cipherOfFile(name)).toThrow(
      expect.objectContaining({
        code: 'unsupported',
        message: expect.stringContaining(name),
        reason: expect.any(String),
      }),
    )
  }
  // Nothing is written under an old name.
  for (const name of ['rijndael-cbc@lysator.liu.se', 'blowfish-cbc', 'none', '']) {
    expect(() => cipherNamed(name)).toThrow(expect.objectContaining({ code: 'unsupported' }))
  }
})
