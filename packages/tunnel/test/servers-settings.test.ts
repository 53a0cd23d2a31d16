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
