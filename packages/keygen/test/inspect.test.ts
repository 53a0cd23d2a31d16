import { writeArmor } from '../src/formats/armor.js'
import { readKrl } from '../src/formats/krl.js'
import { writePublicLine } from '../src/formats/lines/public.js'
import { openssh } from '../src/formats/openssh.js'
import { type Inspected, inspectKeys } from '../src/inspect.js'
import { Writer } from '../src/wire.js'
import { sampleKey } from './sample-keys.js'

/**
 * `ssh-keygen -k -z 9 -f krl -s authority.pub spec`, OpenSSH 9.2. The spec revokes serial 3, serials 10-19, the key id
 * "hana 1", a key itself, and the authority by SHA-1 and by SHA-256.
 */
const KRL = Buffer.from(
  'U1NIS1JMCgAAAAABAAAAAAAAAAkAAAAAawY4ygAAAAAAAAAAAAAAAAAAAAABAAAAXgAAADMAAAALc3NoLWVkMjU1MTkAAAAgv2EerzYr57o2+EIvVKOE4qdFxTl2QziDDt19QK6Yz7MAAAAAIgAAAA8AAAAAAAAAAwAAAAMB/4EjAAAACgAAAAZoYW5hIDECAAAAbAAAAGgAAAATZWNkc2Etc2hhMi1uaXN0cDI1NgAAAAhuaXN0cDI1NgAAAEEExiAT5D6onApSa8s5m1GDffZd0SsvLk/N8SpDtc6r0n9otRS5i33rWOdxB235SBL8Dt8zI/k5HrRycbQPvNA2xQMAAAAYAAAAFCnlU3cMhYKSKGZHi+gLUVm75IFJBQAAACQAAAAgBQ9hYL5PK9Kl/QwN/fQuhKTb+YOAO7200K85ZZdo7QY=',
  'base64',
)
const AUTHORITY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL9hHq82K+e6NvhCL1SjhOKnRcU5dkM4gw7dfUCumM+z authority'
/** `ssh-keygen -Y sign -n file -f authority message`, OpenSSH 9.2. */
const SSHSIG = `-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgv2EerzYr57o2+EIvVKOE4qdFxT
l2QziDDt19QK6Yz7MAAAAEZmlsZQAAAAAAAAAGc2hhNTEyAAAAUwAAAAtzc2gtZWQyNTUx
OQAAAEB3lLiQFLQCywjbU43eZwwVifnURHNm/GEbbS2F3hg5Br0Nn6C26sev6T2VIkSagB
4TyFYpHO00OPVW4237+ZAH
-----END SSH SIGNATURE-----`
const CERTIFICATE =
  'ecdsa-sha2-nistp256-cert-v01@openssh.com AAAAKGVjZHNhLXNoYTItbmlzdHAyNTYtY2VydC12MDFAb3BlbnNzaC5jb20AAAAgnvPoajrRbKPeezSOYYSyyitIsxjM/vqVsQvdsuoPccQAAAAIbmlzdHAyNTYAAABBBMYgE+Q+qJwKUmvLOZtRg332XdErLy5PzfEqQ7XOq9J/aLUUuYt961jncQdt+UgS/A7fMyP5OR60cnG0D7zQNsUAAAAAAAAABwAAAAEAAAAGaGFuYSAxAAAAEAAAAARoYW5hAAAABHJvb3QAAAAAXgvhAAAAAAB/6ZQlAAAAJgAAAA1mb3JjZS1jb21tYW5kAAAAEQAAAA0vYmluL3RydWUgIngiAAAAKgAAAApwZXJtaXQtcHR5AAAAAAAAAAl4QGV4YW1wbGUAAAAHAAAAA2FiYwAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIL9hHq82K+e6NvhCL1SjhOKnRcU5dkM4gw7dfUCumM+zAAAAUwAAAAtzc2gtZWQyNTUxOQAAAEDAvs7LH+m5ukL+vgIYfV4aiBq7rGl/GtwJ9SOqOIGyVcNMSt0vjhCaTL0PmiFE/6j0F1Qgb+7IqqxEZF3ihwgL hana@example'
const KEY =
  'ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBMYgE+Q+qJwKUmvLOZtRg332XdErLy5PzfEqQ7XOq9J/aLUUuYt961jncQdt+UgS/A7fMyP5OR60cnG0D7zQNsU= hana@example'

const inspect = (content: string | Buffer, fileName?: string): Promise<Inspected[]> =>
  inspectKeys(Buffer.from(content), fileName === undefined ? {} : { fileName })
const refusal = (content: string | Buffer, fileName?: string) =>
  inspect(content, fileName).then(
    () => undefined,
    error => error,
  )

describe('kinds', () => {
  test('private', async () => {
    const key = await sampleKey('ed25519', 'me')
    const bytes = await openssh.write(key, { passphrase: Buffer.from('x'), rounds: 1 })
    expect(await inspect(bytes)).toMatchObject([{ kind: 'private', format: 'openssh', encrypted: true }])
  })

  test('public and certificate', async () => {
    expect(await inspect(`${KEY}\n`)).toMatchObject([{ kind: 'public', format: 'openssh' }])
    // A key that is alone in its file is the file.
    expect(await inspect(`# mine\n\n${CERTIFICATE}`)).toMatchObject([
      { kind: 'certificate', certificate: { serial: 7n, keyId: 'hana 1' } },
    ])
  })

  test('signature: facts only', async () => {
    const [found] = await inspect(SSHSIG)
    expect(found).toMatchObject({ kind: 'signature', format: 'sshsig', version: 1, namespace: 'file', hash: 'sha512' })
    expect(found).toMatchObject({ scheme: 'ssh-ed25519' })
    expect(found?.public && writePublicLine(found.public.withComment('authority'))).toBe(`${AUTHORITY}\n`)
  })

  test('krl', async () => {
    const [found] = await inspect(KRL)
    expect(found).toMatchObject({
      kind: 'krl',
      krl: { version: 9n, comment: '', keys: 1, sha1: 1, sha256: 1, signatures: 0 },
    })
    const certificates = found?.kind === 'krl' ? found.krl.certificates : []
    expect(certificates).toMatchObject([{ serials: 11n, keyIds: 1 }])
    expect(certificates[0]?.authority && writePublicLine(certificates[0].authority)).toBe(
      `${AUTHORITY.slice(0, -10)}\n`,
    )
  })

  test('authorized_keys: by options, by number, by name', async () => {
    const options = 'no-pty,command="a \\"b\\" # c"'
    expect(await inspect(`${options} ${KEY}`)).toMatchObject([{ kind: 'authorized_keys', options, line: 1 }])
    expect(await inspect(`${KEY}\n${KEY}`)).toMatchObject([
      { kind: 'authorized_keys', options: '', line: 1 },
      { kind: 'authorized_keys', line: 2 },
    ])
    expect(await inspect(KEY, '/home/a/.ssh/authorized_keys')).toMatchObject([{ kind: 'authorized_keys' }])
    expect(await inspect(KEY, 'C:\\Users\\a\\.ssh\\authorized_keys2')).toMatchObject([{ kind: 'authorized_keys' }])
    // Options that sshd does not know are options all the same.
    expect(await inspect(`no-such="x" ${KEY}`)).toMatchObject([{ kind: 'authorized_keys' }])
    expect(await inspect(`${KEY}\n${KEY}`, 'two.pub')).toMatchObject([{ kind: 'public' }, { kind: 'public', line: 2 }])
  })

  test('known_hosts: by hosts, by marker, by name', async () => {
    expect(await inspect(`a.example,192.0.2.1 ${KEY}`)).toMatchObject([
      { kind: 'known_hosts', hosts: 'a.example,192.0.2.1', line: 1, label: 'hana@example' },
    ])
    expect(await inspect(`@cert-authority *.a ${KEY}`)).toMatchObject([{ hosts: '*.a', marker: 'cert-authority' }])
    const hashed = `|1|${Buffer.alloc(20).toString('base64')}|${Buffer.alloc(20, 1).toString('base64')}`
    const [found] = await inspect(`${hashed} ${KEY.split(' ').slice(0, 2).join(' ')}`)
    expect(found).toMatchObject({ kind: 'known_hosts', hosts: 'hashed', label: hashed, comment: '' })
  })

  test('one line that is wrong does not hide the others', async () => {
    const found = await inspect(
      `${KEY}\nssh-new@example AAAAD3NzaC1uZXdAZXhhbXBsZQ== x\nssh-ed25519 AAAA y\nnonsense\n${KEY}`,
      'authorized_keys',
    )
    expect(found).toMatchObject([
      { line: 1 },
      { line: 2, type: 'ssh-new@example', error: { code: 'unsupported' } },
      { line: 3, type: 'ssh-ed25519', error: { code: 'damaged' } },
      { line: 4, error: { code: 'damaged' } },
      { line: 5 },
    ])
    expect(found.map(each => each.public !== undefined)).toEqual([true, false, false, false, true])
  })
})

describe('no line hides what sshd heeds below it', () => {
  const old = `1024 65537 ${'1234567890'.repeat(30)} old`
  const pem = `-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAv2EerzYr57o2+EIvVKOE4qdFxTl2QziDDt19QK6Yz7M=\n-----END PUBLIC KEY-----`
  const record = `host IN SSHFP 4 2 ${'ab'.repeat(32)}`
  const shown = { kind: 'authorized_keys', type: 'ecdsa-sha2-nistp256', heeded: true, public: expect.anything() }

  test.each([
    ['an SSH-1 key', old],
    ['an SPKI block', pem],
    ['an SSHFP record', record],
    ['a signature', SSHSIG],
    ['a DNSKEY record', 'host. IN DNSKEY 256 3 15 v2EerzYr57o2+EIvVKOE4qdFxTl2QziDDt19QK6Yz7M='],
  ])('%s, in a file named authorized_keys', async (_name, first) => {
    for (const name of ['authorized_keys', '/home/a/.ssh/authorized_keys2', 'authorized_keys.bak']) {
      const found = await inspect(`${first}\n${KEY}\n`, name)
      expect(found.at(-1)).toMatchObject({ ...shown, line: first.split('\n').length + 1 })
      expect(found).toHaveLength(first.split('\n').length + 1)
    }
    expect((await inspect(`${first}\nhost ${KEY}\n`, 'known_hosts')).at(-1)).toMatchObject({
      kind: 'known_hosts',
      hosts: 'host',
      public: expect.anything(),
    })
  })

  test.each(['', 'keys', 'two.pub'])('an SSH-1 key in a file named %j: one line of several', async name => {
    expect(await inspect(`${old}\nno-pty ${KEY}\n${KEY}`, name)).toMatchObject([
      { kind: 'authorized_keys', type: 'rsa1', error: { code: 'unsupported' }, comment: 'old' },
      { ...shown, options: 'no-pty' },
      shown,
    ])
    expect(await inspect(`# mine\n${old}\n${KEY}`, name)).toMatchObject([{ type: 'rsa1' }, shown])
    expect(await inspect(`${KEY}\n${old}\n`, name)).toMatchObject([shown, { type: 'rsa1' }])
  })

  test('an SSH-1 key alone is the file, by any other name', async () => {
    const real = `1024 65537 ${(1n << 1023n) + 1n} old`
    expect(await inspect(real)).toMatchObject([{ kind: 'public', format: 'ssh1', bits: 1024 }])
    expect(await inspect(real, 'authorized_keys')).toMatchObject([{ kind: 'authorized_keys', type: 'rsa1' }])
  })

  test('a list with a NUL byte before the line is refused, not taken for something else', async () => {
    const section = Buffer.concat([KRL, Buffer.from(`\n${KEY}\n`)])
    expect(await refusal(section, 'authorized_keys')).toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('NUL'),
    })
  })

  test('a signature over such a file is a signature', async () => {
    expect(await inspect(SSHSIG, 'authorized_keys.sig')).toMatchObject([{ kind: 'signature' }])
  })
})

describe('files without a key', () => {
  test.each(['', '\n', '# nobody yet\n\n'])(
    '%j: fine as authorized_keys or known_hosts, by no other name',
    async content => {
      expect(await inspect(content, 'authorized_keys')).toEqual([])
      expect(await inspect(content, '/etc/ssh/ssh_known_hosts')).toEqual([])
      expect(await refusal(content)).toMatchObject({ code: 'damaged' })
      expect(await refusal(content, 'id.pub')).toMatchObject({ code: 'damaged' })
    },
  )

  test.each(['hello', 'hello world\nssh-rsa\n', '\0\0\0', 'ssh-ed25519\xa0AAAA'])('%j is none', async content => {
    expect(await refusal(Buffer.from(content, 'latin1'))).toMatchObject({ code: 'damaged' })
  })

  test('a public key that is damaged says so', async () => {
    expect(await refusal(KEY.slice(0, 60))).toMatchObject({ code: 'damaged', offset: expect.any(Number) })
    expect(await refusal(KEY.replace('AAAAE2', 'AAAAE3'))).toMatchObject({ code: 'damaged' })
  })
})

describe('encodings', () => {
  test('a byte order mark of UTF-8 is passed over', async () => {
    expect(await inspect(`\ufeff${KEY}`)).toMatchObject([{ kind: 'public' }])
    expect(await inspect(`\ufeff${KEY}`, 'authorized_keys')).toMatchObject([{ options: '' }])
  })

  test('UTF-16 and NUL bytes', async () => {
    for (const name of [undefined, 'authorized_keys', 'known_hosts', 'id.pub']) {
      const utf16 = Buffer.from(`\ufeff${KEY}`, 'utf16le')
      expect(await refusal(utf16, name)).toMatchObject({ code: 'damaged', message: expect.stringContaining('UTF-16') })
      expect(await refusal(utf16.swap16(), name)).toMatchObject({ message: expect.stringContaining('UTF-16') })
    }
    expect(await refusal(`${KEY}\n\0`, 'authorized_keys')).toMatchObject({ message: expect.stringContaining('NUL') })
  })
})

describe('damaged signatures and lists', () => {
  test('a signature cut anywhere', async () => {
    for (let cut = 40; cut < SSHSIG.length; cut += 5) {
      expect(await refusal(SSHSIG.slice(0, cut))).toMatchObject({ code: 'damaged' })
    }
  })

  test.each([
    ['version 2', 'unsupported', { version: 2 }],
    ['no namespace', 'damaged', { namespace: '' }],
    ['MD5', 'unsupported', { hash: 'md5' }],
    ["another key's scheme", 'damaged', { scheme: 'ssh-dss' }],
  ])('a signature with %s: %s', async (_name, code, change) => {
    const { publicKey } = await sampleKey('ed25519')
    const { version, namespace, hash, scheme } = {
      version: 1,
      namespace: 'file',
      hash: 'sha256',
      scheme: 'ssh-ed25519',
      ...change,
    }
    const signature = new Writer().text(scheme).string(Buffer.alloc(64)).done()
    const writer = new Writer().bytes(Buffer.from('SSHSIG')).uint32(version).string(publicKey.blob)
    writer.text(namespace).text('reserved').text(hash).string(signature)
    expect(await refusal(writeArmor(writer.done(), 'SSH SIGNATURE'))).toMatchObject({ code })
  })

  test('a list cut anywhere but between its sections', () => {
    let whole = 0
    for (let cut = 1; cut < KRL.length; cut++) {
      try {
        readKrl(KRL.subarray(0, cut))
        whole++
      } catch (error) {
        expect(error).toMatchObject({ code: 'damaged' })
      }
    }
    // The header alone, and after each section but the last.
    expect(whole).toBe(4)
  })

  const header = () => Buffer.from(KRL.subarray(0, 44))
  const listOf = (type: number, content: Buffer) =>
    Buffer.concat([header(), Buffer.of(type), new Writer().string(content).done()])
  const subsection = (type: number, content: Buffer) =>
    listOf(1, new Writer().text('').text('').byte(type).string(content).done())
  const extension = (critical: boolean) => new Writer().text('x@example').boolean(critical).text('').done()
  const numbers = (...values: bigint[]) => values.reduce((w, value) => w.uint64(value), new Writer()).done()

  test.each([
    ['an unknown section', 'unsupported', () => listOf(77, Buffer.alloc(0))],
    ['a critical extension', 'unsupported', () => listOf(255, extension(true))],
    ['an unknown subsection', 'unsupported', () => subsection(0x30, Buffer.alloc(0))],
    ['a critical extension inside', 'unsupported', () => subsection(0x39, extension(true))],
    ['a SHA-1 of 19 bytes', 'damaged', () => listOf(3, new Writer().string(Buffer.alloc(19)).done())],
    ['an empty key', 'damaged', () => listOf(2, new Writer().text('').done())],
    ['a range the wrong way round', 'damaged', () => subsection(0x21, numbers(2n, 1n))],
    ['half a serial', 'damaged', () => subsection(0x20, Buffer.alloc(12))],
    ['more than a range', 'damaged', () => subsection(0x21, numbers(1n, 2n, 3n))],
    [
      'a bitmap beyond reason',
      'damaged',
      () => subsection(0x22, new Writer().uint64(0n).mpint(Buffer.alloc(4096, 1)).done()),
    ],
    [
      'another version',
      'unsupported',
      () => Buffer.concat([KRL.subarray(0, 8), Buffer.of(0, 0, 0, 2), KRL.subarray(12)]),
    ],
  ])('a list with %s: %s', async (_name, code, bytes) => {
    expect(await refusal(bytes())).toMatchObject({ code })
  })

  test('a list of sections without number', async () => {
    const empty = new Writer().byte(1).string(new Writer().text('').text('').done()).done()
    const list = (count: number) => Buffer.concat([header(), ...Array.from({ length: count }, () => empty)])
    expect(readKrl(list(1000)).certificates).toHaveLength(1000)
    expect(await refusal(list(65_537))).toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('more sections'),
    })
  })

  test('a list counts what is there', () => {
    const count = (bytes: Buffer) => readKrl(bytes).certificates[0]
    expect(count(subsection(0x20, numbers(1n, 5n, 9n)))).toEqual({ serials: 3n, keyIds: 0 })
    expect(count(subsection(0x21, numbers(0n, 0xffffffffffffffffn)))?.serials).toBe(1n << 64n)
    expect(count(subsection(0x22, new Writer().uint64(7n).mpint(Buffer.of(0b1011, 0xff)).done()))?.serials).toBe(11n)
    expect(count(subsection(0x39, extension(false)))).toEqual({ serials: 0n, keyIds: 0 })
    const signed = Buffer.concat([listOf(4, Buffer.of(1)), new Writer().text('signature').done()])
    expect(readKrl(signed).signatures).toBe(1)
  })
})
