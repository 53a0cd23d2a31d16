import { generate, type PublicKey } from '@keytool/keygen'
import { findRevocations, findTypeRule } from '../src/servers/server-rules.js'
import { readServerSettings } from '../src/servers/server-settings.js'

const account = ['user hana', 'home /home/ha na', 'groups users wheel']

/** The script's answer for these files. */
function settings(files: Readonly<Record<string, readonly string[]>>) {
  const body = Object.entries(files).flatMap(([path, lines]) => [`file ${path}`, ...lines.map(line => ` ${line}`), ''])
  return readServerSettings([...account, ...body].join('\n'))
}

const main = '/etc/ssh/sshd_config'
const keys = (files: Readonly<Record<string, readonly string[]>>) => settings(files).get('authorizedkeysfile')

test('who it is about', () => {
  expect(settings({})).toMatchObject({ user: 'hana', home: '/home/ha na', hidden: [] })
  expect(readServerSettings([...account, `hidden ${main}`].join('\n')).hidden).toEqual([main])
})

test.each([
  ['what sshd does by itself', [], ['.ssh/authorized_keys', '.ssh/authorized_keys2'], undefined],
  ['in any letters, with an equals sign', ['# x', 'authorizedkeysfile=/etc/keys/%u'], ['/etc/keys/%u'], 2],
  ['the first of two', ['AuthorizedKeysFile a', 'AuthorizedKeysFile b'], ['a'], 1],
  ['several, and quotes', ['AuthorizedKeysFile  "a b" c # d'], ['a b', 'c'], 1],
  [
    'under Match, before what holds for all',
    ['AuthorizedKeysFile a', 'Match User bob,ha*', 'AuthorizedKeysFile b'],
    ['b'],
    3,
  ],
  ['under a Match for another', ['AuthorizedKeysFile a', 'Match User bob', 'AuthorizedKeysFile b'], ['a'], 1],
  [
    'under one that rules out',
    ['Match User *,!hana', 'AuthorizedKeysFile b', 'Match all', 'AuthorizedKeysFile c'],
    ['c'],
    4,
  ],
  ['by group', ['Match Group wheel', 'AuthorizedKeysFile b'], ['b'], 2],
  [
    'by two things',
    ['Match User hana Group staff', 'AuthorizedKeysFile b', 'Match Group users User hana', 'AuthorizedKeysFile c'],
    ['c'],
    4,
  ],
  [
    'by what nobody here can tell',
    ['AuthorizedKeysFile a', 'Match Address 192.0.2.0/24 User hana', 'AuthorizedKeysFile b'],
    ['a'],
    1,
  ],
  [
    'by the name of what every object has',
    ['Match constructor x', 'AuthorizedKeysFile b'],
    ['.ssh/authorized_keys', '.ssh/authorized_keys2'],
    undefined,
  ],
  ['an open quote', ['AuthorizedKeysFile "a', 'AuthorizedKeysFile b'], ['b'], 2],
])('AuthorizedKeysFile: %s', (_what, lines, values, line) => {
  expect(keys({ [main]: lines })).toEqual({ values, ...(line !== undefined && { from: { path: main, line } }) })
})

describe('included files', () => {
  const other = '/etc/ssh/sshd_config.d/a.conf'

  test('come where they are named', () => {
    const include = 'Include /etc/ssh/sshd_config.d/*.conf'
    expect(keys({ [main]: [include, 'AuthorizedKeysFile a'], [other]: ['AuthorizedKeysFile b'] })).toMatchObject({
      values: ['b'],
      from: { path: other, line: 1 },
    })
    expect(keys({ [main]: ['AuthorizedKeysFile a', include], [other]: ['AuthorizedKeysFile b'] })).toMatchObject({
      values: ['a'],
    })
  })

  test('end their own Match', () => {
    const files = {
      [main]: ['Include /etc/ssh/sshd_config.d/*.conf', 'AuthorizedKeysFile a'],
      [other]: ['Match User bob', 'AuthorizedKeysFile b'],
    }
    expect(keys(files)).toMatchObject({ values: ['a'] })
  })

  test('do not count where nothing names them, and include nothing themselves', () => {
    expect(keys({ [main]: ['AuthorizedKeysFile a'], [other]: ['AuthorizedKeysFile b'] })).toMatchObject({
      values: ['a'],
    })
    expect(keys({ [main]: ['Include *'], [other]: ['Include *', 'AuthorizedKeysFile b'] })).toMatchObject({
      values: ['b'],
    })
  })
})

test('an endless answer is cut', () => {
  const lines = Array.from({ length: 200_000 }, () => 'X y')
  expect(keys({ [main]: [...lines, 'AuthorizedKeysFile a'] })).toMatchObject({
    values: ['.ssh/authorized_keys', '.ssh/authorized_keys2'],
  })
})

describe('rules about the key itself', () => {
  let known: Readonly<Record<'ed25519' | 'rsa', PublicKey>>

  beforeAll(async () => {
    const [ed25519, rsa] = await Promise.all([generate('ed25519'), generate('rsa', { bits: 2048 })])
    known = { ed25519: ed25519.publicKey, rsa: rsa.publicKey }
  })

  const rule = (type: keyof typeof known, lines: string[]) => findTypeRule(settings({ [main]: lines }), known[type])

  test.each([
    ['no rule', 'ed25519', []],
    ['it is named', 'ed25519', ['PubkeyAcceptedAlgorithms ssh-ed25519,rsa-sha2-512']],
    ['a pattern names it', 'rsa', ['PubkeyAcceptedAlgorithms rsa-*']],
    ['others are added', 'ed25519', ['PubkeyAcceptedKeyTypes +ssh-rsa']],
    ['others are put first', 'ed25519', ['PubkeyAcceptedAlgorithms ^ssh-rsa']],
    ['others are taken away', 'ed25519', ['PubkeyAcceptedAlgorithms -ssh-rsa']],
    ['one of the ways it signs is taken away', 'rsa', ['PubkeyAcceptedAlgorithms -ssh-rsa']],
    ['it is large enough', 'rsa', ['RequiredRSASize 2048']],
    ['sizes of another type', 'ed25519', ['RequiredRSASize 4096']],
    ['what is no size', 'rsa', ['RequiredRSASize many']],
    ['another user’s', 'ed25519', ['Match User bob', 'PubkeyAcceptedAlgorithms rsa-*']],
  ] as const)('%s: it is taken', (_what, type, lines) => {
    expect(rule(type, [...lines])).toBeUndefined()
  })

  test.each([
    ['it is not named', 'ed25519', 'PubkeyAcceptedAlgorithms rsa-*,ecdsa-*', 'ED25519 keys'],
    ['… by the name of before', 'ed25519', 'PubkeyAcceptedKeyTypes rsa-*', 'ED25519 keys'],
    ['all ways it signs are taken away', 'rsa', 'PubkeyAcceptedAlgorithms -ssh-rsa,rsa-sha2-*', 'RSA keys'],
    ['it is too small', 'rsa', 'RequiredRSASize 3072', 'RSA keys of 2048 bits'],
  ] as const)('%s: the line is told', (_what, type, line, which) => {
    expect(rule(type, [line])).toBe(`the server takes no ${which}: ${main} line 1: ${line}`)
  })

  test('a list of revoked keys is told, and none is none', () => {
    const told = (line: string) => findRevocations(settings({ [main]: [line] }))
    expect(told('RevokedKeys /etc/ssh/revoked')).toBe(
      `the server has a list of revoked keys: ${main} line 1: RevokedKeys /etc/ssh/revoked`,
    )
    expect(told('RevokedKeys none')).toBeUndefined()
    expect(told('')).toBeUndefined()
  })
})
