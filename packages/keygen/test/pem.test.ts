import { createPrivateKey, randomBytes } from 'node:crypto'
import { jest } from '@jest/globals'
import fc from 'fast-check'
import { openssh } from '../src/formats/openssh.js'
import { hasPem, readPem, writePem } from '../src/formats/pem/armor.js'
import { pem } from '../src/formats/pem/pem.js'
import { pkcs1 } from '../src/formats/pem/pkcs1.js'
import { spki } from '../src/formats/pem/spki.js'
import { pkcs8 } from '../src/formats/pkcs8/pkcs8.js'
import type { PrivateKey } from '../src/key.js'
import { expectSameParts, sampleKey, sampleSet } from './sample-keys.js'

jest.setTimeout(120_000)

const types = ['rsa', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'dsa']
const labels: Readonly<Record<string, string>> = { rsa: 'RSA PRIVATE KEY', dsa: 'DSA PRIVATE KEY' }
const passphrase = Buffer.from('pässwörd 密')
const LABEL = 'PRIVATE KEY'

let keyOf: (type: string) => PrivateKey
beforeAll(async () => {
  keyOf = await sampleSet(types)
})

const read = (bytes: Buffer) => pem.read(bytes, { passphrase })

describe.each(types)('%s', type => {
  test('in the clear', async () => {
    const bytes = await pem.write(keyOf(type).withComment('not kept'))
    expect(pem.detect(bytes)).toBe(true)
    expect(pkcs8.detect(bytes)).toBe(false)
    expectSameParts(await pem.read(bytes), keyOf(type))
    const facts = await pem.inspect(bytes)
    expect(facts).toMatchObject({ format: 'pem', encrypted: false })
    expect(facts.public?.blob).toEqual(keyOf(type).publicKey.blob)
    expect(facts.public?.comment).toBe('')
  })

  test.each(pem.ciphers)('encrypted with %s', async cipher => {
    const bytes = await pem.write(keyOf(type), { passphrase, cipher })
    expect(bytes.toString()).toMatch(/^-----BEGIN [A-Z]+ PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: /)
    expectSameParts(await read(bytes), keyOf(type))
    const shown = labels[type] === undefined ? {} : { type: keyOf(type).algorithm.name }
    expect(await pem.inspect(bytes)).toEqual({ format: 'pem', encrypted: true, cipher, kdf: { name: 'md5' }, ...shown })
    await expect(pem.read(bytes)).rejects.toMatchObject({ code: 'secret-needed' })
    // OpenSSL takes it, too.
    const opened = createPrivateKey({ key: bytes.toString(), passphrase }).export({ format: 'pem', type: 'pkcs8' })
    expect(opened).toBe((await pkcs8.write(keyOf(type))).toString())
  })

  test('cut anywhere, it is damaged, with the offset', async () => {
    for (const bytes of [await pem.write(keyOf(type), { passphrase }), await pem.write(keyOf(type))]) {
      for (let cut = 0; cut < bytes.length - 1; cut += 9) {
        const error = await read(bytes.subarray(0, cut)).catch(error => error)
        expect(error).toMatchObject({ name: 'KeytoolError', code: 'damaged' })
        expect(error.offset).toBeLessThanOrEqual(cut)
      }
    }
  })
})

test('single DES is read: `openssl ec -des -provider legacy -provider default -passout pass:secret`, 3.0.19', async () => {
  const lines = [
    '-----BEGIN EC PRIVATE KEY-----',
    'Proc-Type: 4,ENCRYPTED',
    'DEK-Info: DES-CBC,4927266810841F92',
    '',
    'BRANSPFs32b9td1blAA4DRO++eNSAa7PmJGcgOdjR/S0Kp2M9aeMn0OnlOneqdVU',
    '2ctULGcYSULREu8DaLUPIuwGicJAl6IS4JcSnRdmallXFQInSpWrgfgf7abCnFXG',
    'QCDJq8ugEHgS8cGaVThF1Lo1DmcaG93sMWoAgdMZfRw=',
    '-----END EC PRIVATE KEY-----',
  ]
  const shown = [
    '-----BEGIN PUBLIC KEY-----',
    'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEVg5X0xJMmZmU1gIZ7AxJ/Wu35SW9',
    'kA6j1wxPHGhuU2JKRYyV3TfDlt+ABkQplSpySMiMxxjnKBtKKd6trc1Ycg==',
    '-----END PUBLIC KEY-----',
    '',
  ]
  const bytes = Buffer.from(lines.join('\n'))
  expect(await pem.inspect(bytes)).toMatchObject({ cipher: 'des-cbc' })
  const key = await pem.read(bytes, { passphrase: Buffer.from('secret') })
  expect(spki.write(key.publicKey).toString()).toBe(shown.join('\n'))
})

describe('the headers', () => {
  const written = async () => (await pem.write(keyOf('ecdsa-256'), { passphrase })).toString()

  test('small letters, as Go writes them', async () => {
    const text = (await written()).replace(/(?<=CBC,)[0-9A-F]+/, hex => hex.toLowerCase())
    expectSameParts(await read(Buffer.from(text)), keyOf('ecdsa-256'))
  })

  test.each([
    ['mixed letters', (t: string) => t.replace(/(?<=CBC,).{32}/, 'aB'.repeat(16)), 'damaged'],
    ['an IV cut short', (t: string) => t.replace(/(?<=CBC,)../, ''), 'damaged'],
    ['an IV that is no hex', (t: string) => t.replace(/(?<=CBC,)../, 'xx'), 'damaged'],
    ['more behind the IV', (t: string) => t.replace(/(CBC,.{32})/, '$1,00'), 'damaged'],
    ['another cipher', (t: string) => t.replace('AES-128', 'AES-999'), 'unsupported'],
    ['a cipher of old', (t: string) => t.replace('AES-128', 'IDEA'), 'unsupported'],
    ['another Proc-Type', (t: string) => t.replace('4,ENCRYPTED', '4,MIC-ONLY'), 'damaged'],
    ['no DEK-Info', (t: string) => t.replace(/DEK.*\n/, ''), 'damaged'],
    ['DEK-Info first', (t: string) => t.replace(/(Proc.*\n)(DEK.*\n)/, '$2$1'), 'damaged'],
    ['one more', (t: string) => t.replace(/(DEK.*\n)/, '$1X-Extra: 1\n'), 'damaged'],
    ['no blank line', (t: string) => t.replace('\n\n', '\n'), 'damaged'],
    ['the label of another type', (t: string) => t.replaceAll('EC PRIVATE', 'DSA PRIVATE'), 'damaged'],
  ])('%s', async (_name, spoil, code) => {
    const bytes = Buffer.from(spoil(await written()))
    await expect(read(bytes)).rejects.toMatchObject({ code })
  })

  test.each([
    [{ cipher: 'aes256-ctr' }, 'unsupported'],
    [{ cipher: 'des-cbc' }, 'unsupported'],
    [{ passphrase: Buffer.alloc(0) }, 'usage'],
  ])('written with %j is refused', async (options, code) => {
    await expect(pem.write(keyOf('rsa'), { passphrase, ...options })).rejects.toMatchObject({ code })
  })

  test('none belong in PKCS#8 and public keys', async () => {
    const key = await sampleKey('ed25519')
    const extra = (bytes: Buffer) => Buffer.from(bytes.toString().replace('\n', '\nComment: x\n\n'))
    await expect(pkcs8.read(extra(await pkcs8.write(key)))).rejects.toMatchObject({ code: 'damaged' })
    await expect(spki.read(extra(spki.write(key.publicKey)))).rejects.toMatchObject({ code: 'damaged' })
  })
})

describe('the lines', () => {
  const body = Buffer.from('a key, or so!')
  const file = () => writePem(LABEL, body).toString()

  test.each([
    ['CRLF', (t: string) => t.replaceAll('\n', '\r\n')],
    ['a byte order mark', (t: string) => `\ufeff${t}`],
    ['blank lines before', (t: string) => `\n \r\n\t\n${t}`],
    ['blank lines behind', (t: string) => `${t}\n\n`],
    ['no last line end', (t: string) => t.trimEnd()],
    ['spaces behind the lines', (t: string) => t.replaceAll('\n', ' \t\n')],
    [
      'what OpenSSL writes before',
      (t: string) => `Bag Attributes\n    friendlyName: x\nKey Attributes: <No Attributes>\n${t}`,
    ],
    ['60 KiB of text before', (t: string) => `${'text\n'.repeat(12_000)}${t}`],
    [
      'a block before',
      (t: string) => `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${t}`,
    ],
    ['a certificate behind', (t: string) => `${t}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`],
    ['short lines', (t: string) => t.replace('YSBr', 'Y\nS\nB\nr')],
  ])('%s', (_name, change) => {
    const bytes = Buffer.from(change(file()))
    expect(hasPem(bytes, [LABEL])).toBe(true)
    expect(readPem(bytes, [LABEL])).toEqual([{ label: LABEL, headers: [], body }])
  })

  test.each([
    ['a character that is not base64', (t: string) => t.replace('YSBr', 'YS*r')],
    ['a vertical tab', (t: string) => t.replace('YSBr', 'YSBr\v')],
    ['a space inside', (t: string) => t.replace('YSBr', 'YS Br')],
    ['a carriage return inside', (t: string) => t.replace('YSBr', 'YS\rBr')],
    ['no padding', (t: string) => t.replace('==', '')],
    ['another end', (t: string) => t.replace('END PRIVATE', 'END PUBLIC')],
    ['another beginning', (t: string) => t.replace('BEGIN', 'BEGIN RSA')],
    ['text behind the end', (t: string) => t.replace(/\n$/, 'x\n')],
    ['text behind the beginning', (t: string) => t.replace('-----\n', '-----x\n')],
    ['text before the beginning', (t: string) => `x${t}`],
    ['another block inside', (t: string) => t.replace('\nYSBr', '\n-----BEGIN PRIVATE KEY-----\nYSBr')],
    ['no end', (t: string) => t.slice(0, -8)],
    ['nothing', () => ''],
  ])('%s is damaged', (_name, spoil) => {
    expect(() => readPem(Buffer.from(spoil(file())), [LABEL])).toThrow(
      expect.objectContaining({ code: 'damaged', offset: expect.any(Number) }),
    )
  })

  test('what begins after 64 KiB is not looked for', () => {
    expect(hasPem(Buffer.from(`${'text\n'.repeat(14_000)}${file()}`), [LABEL])).toBe(false)
  })

  test('detection never throws, and a file of any bytes is read or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), junk => {
        const bytes = Buffer.concat([Buffer.from(`-----BEGIN ${LABEL}-----\n`), junk])
        expect(hasPem(bytes, [LABEL])).toBe(true)
        expect(typeof hasPem(Buffer.from(junk), [LABEL])).toBe('boolean')
        expect(() => readPem(bytes, [LABEL])).toThrow(expect.objectContaining({ code: 'damaged' }))
      }),
    )
  })

  test('any bytes come back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
        expect(readPem(writePem(LABEL, bytes), [LABEL])[0]?.body).toEqual(Buffer.from(bytes))
      }),
    )
  })
})

describe('files of several keys', () => {
  test('a public file gives each, of either kind', async () => {
    const [rsa, ec] = [keyOf('rsa').publicKey, keyOf('ecdsa-256').publicKey]
    const bytes = Buffer.concat([spki.write(ec), pkcs1.write(rsa), Buffer.from('and text\n'), spki.write(rsa)])
    for (const format of [spki, pkcs1]) {
      expect(format.detect(bytes)).toBe(true)
      const back = await format.read(bytes)
      expect(back.map(({ blob }) => blob)).toEqual([ec, rsa, rsa].map(({ blob }) => blob))
    }
  })

  test('a private one is refused, whatever their labels: nobody could tell which is meant', async () => {
    const [rsa, ec] = [await pem.write(keyOf('rsa')), await pem.write(keyOf('ecdsa-256'), { passphrase })]
    const ed25519 = await sampleKey('ed25519')
    const plain = await pkcs8.write(ed25519)
    const sealed = await pkcs8.write(ed25519, { passphrase, rounds: 1 })
    const ownKind = await openssh.write(ed25519)
    const foreign = writePem('X25519 PRIVATE KEY', randomBytes(40))
    const far = Buffer.alloc(100_000, 'text\n')
    for (const [format, ...files] of [
      [pem, rsa, ec],
      [pem, plain, rsa],
      [pem, ec, sealed],
      [pem, rsa, ownKind],
      [pem, foreign, rsa],
      [pem, rsa, far, plain],
      [pkcs8, plain, sealed],
      [pkcs8, plain, rsa],
      [pkcs8, ec, sealed],
      [pkcs8, plain, ownKind],
    ] as const) {
      const bytes = Buffer.concat(files)
      const refusal = { code: 'unsupported', message: 'the file holds several private keys' }
      await expect(format.inspect(bytes)).rejects.toMatchObject(refusal)
      await expect(format.read(bytes, { passphrase })).rejects.toMatchObject(refusal)
    }
  })

  test('the key of a file with its parameters and its certificate is read', async () => {
    const parameters = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n'
    const certificate = `-----BEGIN CERTIFICATE-----\n${randomBytes(48).toString('base64')}\n-----END CERTIFICATE-----\n`
    const key = (await pem.write(keyOf('ecdsa-256'))).toString()
    expectSameParts(await pem.read(Buffer.from(`${parameters}${key}${certificate}`)), keyOf('ecdsa-256'))
  })

  describe('whether the key is alone', () => {
    const parameters = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n'
    const certificate = '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n'

    const files = async () => [
      [pem, (await pem.write(keyOf('ecdsa-256'))).toString()] as const,
      [pem, (await pem.write(keyOf('rsa'), { passphrase })).toString()] as const,
      [pkcs8, (await pkcs8.write(keyOf('rsa'))).toString()] as const,
      [pkcs8, (await pkcs8.write(keyOf('dsa'), { passphrase, rounds: 1 })).toString()] as const,
    ]

    test.each([
      ['by itself', (t: string) => t],
      ['CRLF, a byte order mark', (t: string) => `\ufeff${t.replaceAll('\n', '\r\n')}`],
      ['white space around', (t: string) => `\n \t\r\n${t} \n\n`],
      ['its parameters before', (t: string) => `${parameters}${t}`],
    ])('it is: %s', async (_name, change) => {
      for (const [format, text] of await files()) expect(format.isAlone?.(Buffer.from(change(text)))).toBe(true)
    })

    test.each([
      ['a certificate behind', (t: string) => `${t}${certificate}`],
      ['a certificate before', (t: string) => `${certificate}${t}`],
      ['a certificate within the parameters', (t: string) => `${parameters.replace('\n-', `\n${certificate}-`)}${t}`],
      ['a certificate far behind', (t: string) => `${t}${'\n'.repeat(100_000)}${certificate}`],
      ['parameters with a header', (t: string) => `${parameters.replace('\n', '\nA: b\n\n')}${t}`],
      ['parameters without an end', (t: string) => `${t}${parameters.slice(0, 50)}`],
      ['a public key', (t: string) => `${t}${spki.write(keyOf('rsa').publicKey).toString()}`],
      ['what OpenSSL writes before', (t: string) => `Bag Attributes\n    friendlyName: x\n${t}`],
      ['a remark behind', (t: string) => `${t}# ours`],
      ['a form feed', (t: string) => `${t}\f\n`],
      ['a key cut short', (t: string) => t.slice(0, -20)],
    ])('it is not: %s', async (_name, change) => {
      for (const [format, text] of await files()) expect(format.isAlone?.(Buffer.from(change(text)))).toBe(false)
    })
  })

  test('a public key is not taken for a private one', () => {
    expect(pem.detect(pkcs1.write(keyOf('rsa').publicKey))).toBe(false)
    expect(pkcs8.detect(spki.write(keyOf('rsa').publicKey))).toBe(false)
  })
})
