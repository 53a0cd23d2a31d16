import { fingerprint, generate, type PrivateKey, PublicKey } from '@keytool/keygen'
import { type SurveyedLine, surveyKeys } from '../src/servers/survey.js'
import { readExpiry } from '../src/servers/survey-expiry.js'

const now = new Date('2026-11-30T12:00:00Z')
let key: PrivateKey
let other: PrivateKey
let small: PrivateKey
const lineOf = ({ publicKey }: { publicKey: PublicKey }, comment = '') =>
  `${publicKey.algorithm.name} ${publicKey.blob.toString('base64')}${comment && ` ${comment}`}`

beforeAll(async () => {
  key = await generate('ed25519')
  other = await generate('ed25519')
  small = await generate('ecdsa-521')
})

const survey = (text: string, ownerOf?: (print: string) => string | undefined) =>
  surveyKeys(Buffer.from(text), { now, ownerOf })

const codesOf = (lines: readonly SurveyedLine[]) => lines.map(({ findings }) => findings.map(({ code }) => code))

test('who, what, where; blank lines and comments are counted, not listed', async () => {
  const lines = await survey(`# mine\n\nfrom="192.0.2.*" ${lineOf(key, 'hana@laptop')}\n`)
  expect(lines).toEqual([
    {
      line: 3,
      key: expect.any(PublicKey),
      fingerprint: fingerprint(key.publicKey),
      type: 'ssh-ed25519',
      comment: 'hana@laptop',
      options: 'from="192.0.2.*"',
      isHeeded: true,
      isAuthority: false,
      findings: [],
    },
  ])
})

test.each([
  ['', ['unrestricted']],
  ['no-pty ', ['unrestricted']],
  ['restrict ', []],
  ['command="x" ', []],
  ['From="*.example" ', []],
  ['cert-authority ', ['authority']],
  ['restrict,expiry-time="20261130" ', []],
  ['restrict,expiry-time="20261130Z" ', ['expired']],
  ['expiry-time="202611301159Z",expiry-time="2030" ', ['passed-over']],
  ['expiry-time="19690101Z" ', ['passed-over']],
  ['expiry-time="20300101",expiry-time="20200101" ', ['expired']],
  ['no-such-option ', ['passed-over']],
  ['\ufeff', ['passed-over']],
])('in front of the key stands %j', async (options, codes) => {
  expect(codesOf(await survey(`${options}${lineOf(key)}\n`))).toEqual([codes])
})

test('what is no key does not hide the next line', async () => {
  const lines = await survey(
    `ssh-ed25519 AAAAnonsense=\nhello\nssh-rsa ${lineOf(key).split(' ')[1]}\nrestrict ${lineOf(key)}\n`,
  )
  expect(codesOf(lines)).toEqual([['unreadable'], ['unreadable'], ['unreadable'], []])
  expect(lines[3]?.line).toBe(4)
})

test('a key on several lines: said of the later one, gravely where its options are others', async () => {
  const lines = await survey(
    `restrict ${lineOf(key)}\nrestrict ${lineOf(key, 'again')}\n${lineOf(key)}\ncert-authority ${lineOf(key)}\n`,
  )
  expect(codesOf(lines)).toEqual([[], ['duplicate'], ['duplicate', 'unrestricted'], ['authority']])
  expect(lines.flatMap(({ findings }) => findings.map(({ severity }) => severity))).toEqual([
    'note',
    'weak',
    'note',
    'note',
  ])
  expect(lines[2]?.findings[0]?.text).toContain('line 1')
  // One that lets nobody in is no first one.
  expect(codesOf(await survey(`hm ${lineOf(key)}\nrestrict ${lineOf(key)}\n`))).toEqual([['passed-over'], []])
})

test('keys of others are unknown, where anybody says which are known', async () => {
  const ownerOf = (print: string) => (print === fingerprint(key.publicKey) ? '~/.ssh/id_ed25519' : undefined)
  const lines = await survey(`restrict ${lineOf(key)}\nrestrict ${lineOf(other)}\nhm ${lineOf(other)}\n`, ownerOf)
  expect(lines.map(({ owner }) => owner)).toEqual(['~/.ssh/id_ed25519', undefined, undefined])
  expect(codesOf(lines)).toEqual([[], ['unknown'], ['passed-over']])
})

test('what is known against the key itself comes with it', async () => {
  expect(codesOf(await survey(`restrict ${lineOf(small)}\n`))).toEqual([['p521-putty']])
})

test('a type that nobody here knows has a fingerprint all the same', async () => {
  const name = Buffer.from('ssh-new@example.com')
  const blob = Buffer.concat([Buffer.from([0, 0, 0, name.length]), name, Buffer.from('anything')])
  const [line] = await survey(`restrict ssh-new@example.com ${blob.toString('base64')} x\n`, () => undefined)
  expect(line).toMatchObject({ fingerprint: fingerprint({ blob }), findings: [{ code: 'unknown' }] })
  expect(line?.key).toBeUndefined()
})

test('no text is no list', async () => {
  await expect(surveyKeys(Buffer.from('\ufeffssh-ed25519 AAAA\n', 'utf16le'), { now })).rejects.toMatchObject({
    code: 'damaged',
  })
})

test.each([
  ['20261130', '2026-11-30T12:00:00.000Z'],
  ['20261130Z', '2026-11-30T00:00:00.000Z'],
  ['20261130z', '2026-11-30T00:00:00.000Z'],
  ['202611301530', '2026-12-01T03:30:00.000Z'],
  ['20261130153059UTC', '2026-11-30T15:30:59.000Z'],
  ['20261301', undefined],
  ['20261100', undefined],
  ['202611302460', undefined],
  ['2026-11-30', undefined],
  ['20261130+01', undefined],
  ['', undefined],
])('expiry-time="%s"', (text, time) => {
  expect(readExpiry(text)?.toISOString()).toBe(time)
})
