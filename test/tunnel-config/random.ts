import fc from 'fast-check'
import type { Row } from './rows.js'

// Configs nobody would write, from pieces that mean something.

const word = fc.constantFrom('a', 'b', 'web1', 'web2', 'WEB1', 'x.example', 'gw', '*', 'w*', '?eb1')
const number = fc.integer({ min: 1, max: 65535 }).map(String)
const flag = fc.constantFrom('yes', 'no', 'true', 'False')
const file = fc.constantFrom('~/a', '/b/c', '"~/d e"', '~/%h', '~/%n-%p', '~/%%', "'~/f'", '~/g\\ h')
const target = fc.constantFrom('a:1', '[::1]:2', 'b.example:65535', '/s.sock')

const settings: readonly (readonly [string, fc.Arbitrary<string>])[] = [
  ['Port', number],
  ['User', fc.constantFrom('a', 'b', '"c d"', 'root')],
  ['HostName', fc.constantFrom('%h.example', 'Real.Example', '127.0.0.1', '::1', 'web2')],
  ['IdentitiesOnly', flag],
  ['GatewayPorts', flag],
  ['PasswordAuthentication', flag],
  ['HashKnownHosts', flag],
  ['StrictHostKeyChecking', fc.constantFrom('yes', 'no', 'ask', 'accept-new')],
  ['ServerAliveInterval', fc.constantFrom('0', '15', '1m', '2h3s')],
  ['IdentityFile', fc.constantFrom('~/a', '/b/c', '"~/d e"', '~/a\\"b', 'none')],
  ['UserKnownHostsFile', fc.array(file, { minLength: 1, maxLength: 3 }).map(files => files.join(' '))],
  ['IdentityAgent', file],
  ['ForwardAgent', flag],
  ['ProxyJump', fc.constantFrom('gw', 'a@gw:22', 'gw1,gw2', 'none', 'ssh://b@gw:2222')],
  ['ProxyCommand', fc.constantFrom('nc %h %p', 'none', 'x "y z" # w')],
  ['LocalForward', fc.tuple(number, target).map(parts => parts.join(' '))],
  ['RemoteForward', fc.tuple(fc.constantFrom('1', '*:2', '/r.sock', 'h:0'), target).map(parts => parts.join(' '))],
  ['DynamicForward', fc.constantFrom('1080', '127.0.0.1:1081', '[::1]:1082')],
  ['SendEnv', fc.constantFrom('LANG', 'LC_*', '-LC_*', 'A B')],
  ['SetEnv', fc.constantFrom('A=1', 'A=1 B=2', '"C=3 4"')],
  ['LogLevel', fc.constantFrom('QUIET', 'verbose', 'DEBUG')],
  ['RemoteCommand', fc.constantFrom('ls', 'echo %h', 'none')],
]

const setting = fc
  .constantFrom(...settings)
  .chain(([keyword, value]) =>
    fc.tuple(fc.constantFrom(keyword, keyword.toLowerCase()), fc.constantFrom(' ', '=', '\t', ' = '), value),
  )
  .map(parts => parts.join(''))

const patterns = fc.array(
  fc.tuple(fc.constantFrom('', '', '!'), word).map(parts => parts.join('')),
  { minLength: 1, maxLength: 3 },
)
const criterion = fc.oneof(
  fc
    .tuple(fc.constantFrom('host', 'originalhost', 'user', '!host', '!user'), patterns)
    .map(([name, list]) => `${name} ${list.join(',')}`),
  fc.constantFrom('final', 'canonical'),
)
const block = fc.oneof(
  patterns.map(list => `Host ${list.join(' ')}`),
  fc.array(criterion, { minLength: 1, maxLength: 3 }).map(list => `Match ${list.join(' ')}`),
  fc.constant('Match all'),
)
const noise = fc.constantFrom('', '# Port 1', '   ', '  CheckHostIP no')
const line = fc.oneof(
  { weight: 6, arbitrary: setting },
  { weight: 3, arbitrary: block },
  { weight: 1, arbitrary: noise },
)
const include = fc.constantFrom('Include a.conf', 'Include [ab].conf')
const lines = (each: fc.Arbitrary<string>) =>
  fc
    .tuple(fc.array(each, { maxLength: 12 }), fc.constantFrom('\n', '\r\n'))
    .map(([all, end]) => all.map(text => text + end).join(''))

/** A config with two files that it may include. */
export const randomRow: fc.Arbitrary<Row> = fc.record({
  name: fc.constant('random'),
  config: lines(fc.oneof({ weight: 8, arbitrary: line }, { weight: 1, arbitrary: include })),
  files: fc.record({ '.ssh/a.conf': lines(line), '.ssh/b.conf': lines(line) }),
  host: fc.constantFrom('web1', 'web2', 'WEB1', 'x.example'),
  extra: fc.array(fc.constantFrom('Port=77', 'user a', 'IdentityFile=~/x', 'ProxyJump=none'), { maxLength: 2 }),
})
