import { expandProxyCommand } from '../src/connection/proxy-command.js'

const target = { host: 'real.example', port: 2201, user: 'deploy', typedHost: 'web1', hostKeyAlias: 'alias' }

describe('putting a target into a command', () => {
  test.each([
    ['nc %h %p', 'nc real.example 2201'],
    ['x %n %r %k 100%%', 'x web1 deploy alias 100%'],
    ['%%h %%%h', '%h %real.example'],
    ['nothing', 'nothing'],
  ])('%s', (command, wanted) => {
    expect(expandProxyCommand(command, target)).toBe(wanted)
  })

  test('what is not said is the host', () => {
    expect(expandProxyCommand('%h %n %k', { host: 'h', port: 1, user: 'u' })).toBe('h h h')
    expect(expandProxyCommand('%n %k', { host: 'h', port: 1, user: 'u', typedHost: 't' })).toBe('t t')
  })

  test.each(['%C', '%d', '%l', '%', '%é'])('%s is not taken', token => {
    expect(() => expandProxyCommand(`x ${token}`, target)).toThrow(expect.objectContaining({ code: 'usage' }))
  })

  const hostile = [
    '$(touch x)',
    '`x`',
    'a;b',
    'a|b',
    'a&b',
    'a b',
    'a\nb',
    "a'b",
    'a"b',
    'a\\b',
    '-oProxyCommand=x',
    'a>b',
    '',
  ]

  test.each(hostile)('a host of %j is put into no command', host => {
    for (const [token, name] of [
      ['%h', 'host'],
      ['%n', 'typedHost'],
      ['%k', 'hostKeyAlias'],
    ] as const) {
      const refused = expect.objectContaining({ code: 'refused' })
      expect(() => expandProxyCommand(`nc ${token}`, { ...target, [name]: host })).toThrow(refused)
      expect(expandProxyCommand('nc x', { ...target, [name]: host })).toBe('nc x')
    }
  })

  test.each(['$(x', 'a;b', "a'b", 'a`b', '-x', 'a -b', 'a\\', 'a\u0007', ''])(
    'a user of %j is put into no command',
    user => {
      expect(() => expandProxyCommand('%r', { ...target, user })).toThrow(expect.objectContaining({ code: 'refused' }))
    },
  )

  test('users of a domain are', () => {
    expect(expandProxyCommand('%r', { ...target, user: 'DOM\\a b' })).toBe('DOM\\a b')
    expect(expandProxyCommand('%h', { ...target, host: 'fe80::1%eth0' })).toBe('fe80::1%eth0')
  })
})
