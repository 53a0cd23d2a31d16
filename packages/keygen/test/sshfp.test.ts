import fc from 'fast-check'
import { certificatesOf } from '../src/algorithms/certificate.js'
import { fingerprint } from '../src/fingerprint.js'
import { readSshfp, sshfp, sshfpRecords } from '../src/formats/foreign/sshfp.js'
import { PublicKey } from '../src/key.js'
import { allTypes, sampleKey } from './sample-keys.js'

/** `ssh-keygen -t ed25519`, OpenSSH 9.2, and what `ssh-keygen -r host -f key.pub` prints of it. */
const KEY = PublicKey.fromBlob(
  Buffer.from('AAAAC3NzaC1lZDI1NTE5AAAAIFlJefGZ9e73rwDdSPDB/Z5mW54vZwlfpbSWU+046ptz', 'base64'),
)
const RECORDS = `host IN SSHFP 4 1 50b3420b1eae9ba01ed30823e228311d68c343a7
host IN SSHFP 4 2 c5aec6947866435dcf87e6bab316554258666e7b3441ec270903cad767777ac6
`

test('the records of ssh-keygen -r, character for character', () => {
  expect(sshfpRecords(KEY, 'host')).toBe(RECORDS)
})

test("a zone's own name is the owner where none is given", () => {
  expect(sshfp.write(KEY).toString()).toBe(RECORDS.replaceAll('host', '@'))
})

test.each([
  ['rsa', 1],
  ['dsa', 2],
  ['ecdsa-256', 3],
  ['ecdsa-521', 3],
  ['ed25519', 4],
  ['ed448', 6],
] as const)('%s has the number %i', async (type, number) => {
  const { publicKey } = await sampleKey(type)
  const [sha1, sha256] = readSshfp(Buffer.from(sshfpRecords(publicKey, 'web1.example.com.')))
  expect(sha1).toMatchObject({ algorithm: number, label: publicKey.algorithm.label, host: 'web1.example.com.' })
  expect(sha256?.fingerprint).toEqual({ sha256: fingerprint(publicKey) })
})

test.each(allTypes.filter(type => /-sk$|mldsa/.test(type)))('%s has no number', async type => {
  const { publicKey } = await sampleKey(type)
  expect(() => sshfp.write(publicKey)).toThrow(
    expect.objectContaining({ code: 'unsupported', message: `SSHFP records can't hold ${type} keys` }),
  )
})

test('a certificate has none either', () => {
  const certificate = { ...KEY, algorithm: certificatesOf(KEY.algorithm as never) } as unknown as PublicKey
  expect(() => sshfp.write(certificate)).toThrow(expect.objectContaining({ code: 'unsupported' }))
})

test.each(['', 'a b', 'a\nb', 'a;b', 'häna', '"a"', '(', '$ORIGIN', 'x'.repeat(256)])(
  'a host named %j is refused',
  host => {
    expect(() => sshfpRecords(KEY, host)).toThrow(expect.objectContaining({ code: 'usage' }))
  },
)

describe('reading', () => {
  const sha256 = 'SHA256:xa7GlHhmQ13Ph+a6sxZVQlhmbns0QewnCQPK12d3esY'

  test('holds no key', async () => {
    expect(sshfp.detect(Buffer.from(RECORDS))).toBe(true)
    await expect(sshfp.read(Buffer.from(RECORDS))).rejects.toMatchObject({
      code: 'unsupported',
      message: 'an SSHFP record holds no key',
    })
  })

  test('what it says', () => {
    expect(readSshfp(Buffer.from(RECORDS))).toEqual([
      {
        kind: 'sshfp',
        format: 'sshfp',
        host: 'host',
        label: 'ED25519',
        algorithm: 4,
        fingerprint: { sha1: '50b3420b1eae9ba01ed30823e228311d68c343a7' },
      },
      { kind: 'sshfp', format: 'sshfp', host: 'host', label: 'ED25519', algorithm: 4, fingerprint: { sha256 } },
    ])
  })

  const digits = 'C5AEC6947866435DCF87E6BAB316554258666E7B 3441EC270903CAD767777AC6'
  test.each([
    ['as dig prints it', `host.\t\t3600\tIN\tSSHFP\t4 2 ${digits}\n`],
    ['with a TTL of units, class first', `host. IN 1h30m SSHFP 4 2 ${digits}`],
    ['without TTL and class', `host. sshfp 4 2 ${digits}`],
    ['in parentheses, with comments', `; host keys\n\nhost. SSHFP ( 4 2 ; Ed25519\r\n  ${digits} )\r\n`],
  ])('%s', (_name, text) => {
    expect(sshfp.detect(Buffer.from(text))).toBe(true)
    expect(readSshfp(Buffer.from(text))).toMatchObject([{ host: 'host.', fingerprint: { sha256 } }])
  })

  test('a type that is not assigned has no label', () => {
    expect(readSshfp(Buffer.from(`h SSHFP 99 2 ${digits}`))[0]).not.toHaveProperty('label')
  })

  test.each([
    [`host IN SSHFP 4 2 ${digits.slice(1)}`, 'damaged'],
    [`host IN SSHFP 4 2 ${digits}00`, 'damaged'],
    [`host IN SSHFP 4 2 ${digits.replace('C5', 'c5')}`, 'damaged'],
    [`host IN SSHFP 4 3 ${digits}`, 'unsupported'],
    [`host IN SSHFP x 2 ${digits}`, 'damaged'],
    [`host IN SSHFP 256 2 ${digits}`, 'damaged'],
    ['host IN SSHFP', 'damaged'],
    ['host IN A 127.0.0.1', 'unsupported'],
    [`host CH SSHFP 4 2 ${digits}`, 'unsupported'],
    [`host IN SSHFP ( 4 2 ${digits}`, 'damaged'],
    [`host IN SSHFP 4 2 ${digits} )`, 'damaged'],
    [`host IN SSHFP ((4 2 ${digits}))`, 'damaged'],
    [`$ORIGIN example.\nhost IN SSHFP 4 2 ${digits}`, 'damaged'],
    [`h\u00f6st IN SSHFP 4 2 ${digits}`, 'damaged'],
    ['host', 'damaged'],
    ['x'.repeat(1 << 20), 'damaged'],
  ])('%j is %s', (text, code) => {
    expect(() => readSshfp(Buffer.from(text))).toThrow(expect.objectContaining({ code }))
  })

  test('any text at all', () => {
    const word = fc.constantFrom(
      'host',
      ' ',
      'IN',
      '3600',
      'SSHFP',
      '4',
      '2',
      '(',
      ')',
      ';',
      '\n',
      '\t',
      digits,
      '\v',
      'ä',
    )
    fc.assert(
      fc.property(fc.array(word, { maxLength: 30 }), words => {
        const bytes = Buffer.from(words.join(''))
        expect(typeof sshfp.detect(bytes)).toBe('boolean')
        try {
          for (const facts of readSshfp(bytes)) expect(facts.kind).toBe('sshfp')
        } catch (error) {
          expect(error).toMatchObject({ name: 'KeytoolError' })
        }
      }),
      { numRuns: 500 },
    )
  })
})
