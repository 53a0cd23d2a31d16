import {
  addressToBind,
  formatForward,
  formatListen,
  formatTarget,
  hostToAsk,
  isOpenToOthers,
  parseForward,
} from '../src/forwards/spec.js'

const long = `/${'a'.repeat(106)}`

// Checked against `ssh -G`, which prints what it reads; there 0 is no port of -L and -D, and a relative path is one.
describe('-L', () => {
  test.each([
    ['1110:mail.example:110', { port: 1110 }, { host: 'mail.example', port: 110 }, false],
    ['0:localhost:65535', { port: 0 }, { host: 'localhost', port: 65535 }, false],
    ['127.0.0.2:80:a:1', { bind: '127.0.0.2', port: 80 }, { host: 'a', port: 1 }, false],
    ['localhost:80:a:1', { bind: 'localhost', port: 80 }, { host: 'a', port: 1 }, false],
    ['[::1]:80:[2001:db8::1]:443', { bind: '::1', port: 80 }, { host: '2001:db8::1', port: 443 }, false],
    ['192.0.2.1:80:a:1', { bind: '192.0.2.1', port: 80 }, { host: 'a', port: 1 }, true],
    ['[::]:80:a:1', { bind: '::', port: 80 }, { host: 'a', port: 1 }, true],
    ['*:80:a:1', { bind: '*', port: 80 }, { host: 'a', port: 1 }, true],
    ['80:/run/a.sock', { port: 80 }, { path: '/run/a.sock' }, false],
    ['[::1]:80:/run/a.sock', { bind: '::1', port: 80 }, { path: '/run/a.sock' }, false],
    ['/run/a.sock:b:1', { path: '/run/a.sock' }, { host: 'b', port: 1 }, false],
    ['/run/a.sock:/run/b c.sock', { path: '/run/a.sock' }, { path: '/run/b c.sock' }, false],
    ['/a\\:b:/c\\\\d', { path: '/a:b' }, { path: '/c\\d' }, false],
    [`80:${long}`, { port: 80 }, { path: long }, false],
  ])('%s', (text, listen, to, open) => {
    const spec = parseForward('local', text)
    expect(spec).toEqual({ kind: 'local', listen, to })
    expect(isOpenToOthers(spec)).toBe(open)
    expect(formatForward(spec)).toBe(text)
  })

  test('an empty address is every address', () => {
    expect(parseForward('local', ':80:a:1')).toEqual(parseForward('local', '*:80:a:1'))
  })

  test.each([
    ['', 'it is written [bind:]port:host:hostport'],
    ['80', 'it is written'],
    ['80:a', 'it is written'],
    ['80:a:0', 'a port is a number from 1 to 65535'],
    ['80:a:65536', 'a port is a number from 1 to 65535'],
    ['65536:a:80', 'a port is a number from 0 to 65535'],
    ['-1:a:80', 'a port is'],
    ['1e3:a:80', 'a port is'],
    ['[::1]:a:80', 'a port is'],
    ['80:a:http', 'a port is'],
    ['a:80', 'it is written'],
    ['80::1', 'the host is missing'],
    ['x:80:a:1:2', 'it is written'],
    ['::1:80:a:1', 'it is written'],
    ['[::1:80:a:1', 'the brackets do not fit'],
    ['[a]:80:b:1', 'only an IPv6 address stands in brackets'],
    ['80:[::1]x:1', 'the brackets do not fit'],
    ['80:-oProxyCommand=x:1', 'a host does not begin with -'],
    ['80:a b:1', 'that is no name of a host'],
    ['80:a\nb:1', 'that is no name of a host'],
    ['80:a\u202eb:1', 'that is no name of a host'],
    ['80:$(x):1', 'that is no name of a host'],
    [`80:${'a'.repeat(256)}:1`, 'that is no name of a host'],
    ['-x:80:a:1', 'a host does not begin with -'],
    ['/run/a.sock', 'it is written'],
    ['/run/a.sock:80', 'it is written'],
    ['x:/run/a.sock:b:1', 'a port is'],
    ['x:/run/a.sock', 'a port is'],
    ['80:/run/a.sock:1', 'a path stands where a host should'],
    ['80:run/a.sock', "a socket's path begins with /"],
    ['run/a.sock:b:1', "a socket's path begins with /"],
    ['~/a.sock:b:1', "a socket's path begins with /"],
    ['80:~/a.sock', "a socket's path begins with /"],
    ['80:/run/', 'that is the path of a folder'],
    ['80:/', 'that is the path of a folder'],
    ['80:/a\\', 'that is no path'],
    ['80:/a\0b', 'a path has no control characters'],
    ['80:/a\nb', 'a path has no control characters'],
    [`80:${long}a`, "a socket's path has at most 107 bytes"],
    [`80:/${'ä'.repeat(54)}`, "a socket's path has at most 107 bytes"],
  ])('%j is refused', (text, reason) => {
    const told = expect.objectContaining({
      code: 'usage',
      message: expect.stringMatching(/^-L .* can't be used$/),
      reason: expect.stringContaining(reason),
      hint: 'such as: -L 1110:mail.example:110',
    })
    expect(() => parseForward('local', text)).toThrow(told)
  })
})

describe('-R', () => {
  test.each([
    ['8080:localhost:80', { port: 8080 }, { host: 'localhost', port: 80 }, 'localhost'],
    ['0:localhost:80', { port: 0 }, { host: 'localhost', port: 80 }, 'localhost'],
    ['*:8080:localhost:80', { bind: '*', port: 8080 }, { host: 'localhost', port: 80 }, ''],
    ['192.0.2.1:8080:/a', { bind: '192.0.2.1', port: 8080 }, { path: '/a' }, '192.0.2.1'],
    ['1080', { port: 1080 }, undefined, 'localhost'],
    ['0', { port: 0 }, undefined, 'localhost'],
    ['*:1080', { bind: '*', port: 1080 }, undefined, ''],
    ['[::1]:1080', { bind: '::1', port: 1080 }, undefined, '::1'],
    ['8080:/a', { port: 8080 }, { path: '/a' }, 'localhost'],
    ['/a:/b', { path: '/a' }, { path: '/b' }, undefined],
    ['/a', { path: '/a' }, undefined, undefined],
    ['/a:b:1', { path: '/a' }, { host: 'b', port: 1 }, undefined],
  ])('%s', (text, listen, to, asked) => {
    const spec = parseForward('remote', text)
    expect(spec).toEqual({ kind: 'remote', listen, ...(to && { to }) })
    expect(formatForward(spec)).toBe(text)
    if ('port' in spec.listen) expect(hostToAsk(spec.listen)).toBe(asked)
  })

  test.each(['', 'a', '65536', '/a:80', '8080:a', 'x:/a', 'x:y:80', '1:2:3:4:5'])('%j is refused', text => {
    const told = expect.objectContaining({ code: 'usage', hint: 'such as: -R 8080:localhost:80' })
    expect(() => parseForward('remote', text)).toThrow(told)
  })
})

describe('-D', () => {
  test.each([
    ['1080', { port: 1080 }],
    ['0', { port: 0 }],
    ['127.0.0.2:1080', { bind: '127.0.0.2', port: 1080 }],
    ['[::1]:1080', { bind: '::1', port: 1080 }],
    ['*:1080', { bind: '*', port: 1080 }],
    ['/run/socks', { path: '/run/socks' }],
  ])('%s', (text, listen) => {
    const spec = parseForward('dynamic', text)
    expect(spec).toEqual({ kind: 'dynamic', listen })
    expect(formatForward(spec)).toBe(text)
  })

  test.each(['', 'x', '1080:a:1', '1080:/a', 'x:y', '/a:/b'])('%j is refused', text => {
    const told = expect.objectContaining({ code: 'usage', hint: 'such as: -D 1080' })
    expect(() => parseForward('dynamic', text)).toThrow(told)
  })
})

test('loopback unless an address is written', () => {
  expect(addressToBind({})).toBe('127.0.0.1')
  expect(addressToBind({ bind: 'localhost' })).toBe('127.0.0.1')
  expect(addressToBind({ bind: '*' })).toBeUndefined()
})

test.each([
  ['local', '1110:a:110', '127.0.0.1:1110', 'a:110'],
  ['local', '*:1110:[::1]:110', '*:1110', '[::1]:110'],
  ['local', '/a:/b', '/a', '/b'],
  ['remote', '8080:a:80', 'localhost:8080', 'a:80'],
  ['remote', '*:0', '*:0', 'SOCKS'],
  ['dynamic', '[::1]:1080', '[::1]:1080', 'SOCKS'],
] as const)('a %s forward %s is shown as listening at %s and leading to %s', (kind, text, listen, target) => {
  const spec = parseForward(kind, text)
  expect([formatListen(spec), formatTarget(spec)]).toEqual([listen, target])
  if (!('path' in spec.listen)) expect(formatListen(spec, 4321)).toBe(listen.replace(/\d+$/, '4321'))
})
