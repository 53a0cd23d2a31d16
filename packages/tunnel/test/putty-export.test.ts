import fc from 'fast-check'
import { formatPuttyRegistry, formatPuttySession, puttyFromSession } from '../src/config/putty/export.js'
import { readSaved } from '../src/config/putty/saved.js'
import { sessionFromPutty } from '../src/config/putty/session.js'
import type { Saved } from '../src/config/putty/settings.js'
import { isSameSession } from '../src/sessions/same.js'
import { checkSession, type Session } from '../src/sessions/schema.js'

const none = { local: [], remote: [], dynamic: [] }
const bare: Session = { version: 1, name: 'mail', host: 'mail.example', port: 22, forwards: none }

const back = (saved: Saved): Session => {
  const [settings] = saved.sessions
  const found = settings && sessionFromPutty(settings)
  if (!found || 'passedOver' in found) throw new Error('no session')
  // An export leaves nothing out that it wrote itself.
  expect([found.leftOut, found.looks]).toEqual([[], 0])
  return found.session
}
const bothWays = (session: Session): [Session, Session] => {
  const ours = puttyFromSession(session)
  return [
    back(readSaved(formatPuttyRegistry([ours]), 'x.reg')),
    back(readSaved(formatPuttySession(ours), session.name)),
  ]
}

const host = fc.oneof(
  fc.constantFrom(
    'mail.example',
    '127.0.0.1',
    '::1',
    '2001:db8::1',
    'web-1',
    'xn--bcher-kva.example',
    'bücher.example',
  ),
  fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,40}$/),
)
const inBrackets = (name: string) => (name.includes(':') ? `[${name}]` : name)
const place = host.map(inBrackets)
const port = fc.integer({ min: 1, max: 65535 })
const user = fc.oneof(
  fc.constantFrom('hana', 'CORP\\hana', 'hana@corp', 'Ärger = a,b \\'),
  fc.stringMatching(/^[a-z_][a-z0-9_.,=#%\\ -]{0,20}$/),
)
const hopUser = fc.stringMatching(/^[a-z_][a-z0-9_.-]{0,20}$/)
const path = fc.oneof(
  fc.constantFrom('/home/hana/.ssh/id', 'C:\\keys\\a b.ppk', '~/a=b,c', '"quoted"\\', ' a ', 'ключ', "it's; #1"),
  fc.stringMatching(/^[ -,.-~]{1,40}$/),
)
const bind = fc.constantFrom('', '127.0.0.1:', '*:', '0.0.0.0:', '[::1]:', '[fd00::d]:', 'localhost:', ':')
const socket = fc.constantFrom('/run/a.sock', '/tmp/a b,c=d', '/tmp/a\\:b')
const listen = fc.oneof(
  fc.tuple(bind, fc.integer({ min: 0, max: 65535 })).map(([at, on]) => `${at}${on}`),
  socket,
)
const target = fc.oneof(
  fc.tuple(place, port).map(([to, on]) => `${to}:${on}`),
  socket,
)
const forward = fc.tuple(listen, target).map(([from, to]) => `${from}:${to}`)
const lists = { maxLength: 4 }
const hop = fc
  .tuple(fc.option(hopUser), place, fc.option(port))
  .map(([who, at, on]) => `${who ? `${who}@` : ''}${at}${on ? `:${on}` : ''}`)
const command = fc.oneof(
  fc.constantFrom('nc -x proxy:3128 %h %p', 'a\\b %% %hp', 'nc %r@%h', 'sh -c "%n"', '%hostile %port %%user %pass'),
  fc.stringMatching(/^[!-~][ -~]{0,30}[!-~]$/),
)
const way = fc.oneof(
  fc.constant({}),
  fc.record({ jump: fc.array(hop, { minLength: 1, maxLength: 3 }).map(hops => hops.join(',')) }),
  fc.record({ proxyCommand: command }),
)
const charset = fc.constantFrom(
  'utf-8',
  'EUC-JP',
  'euc-jp',
  'latin1',
  'iso-8859-15',
  'koi8-r',
  'cp437',
  'sjis',
  'gbk',
  'cp950',
  'tis-620',
)
const session = fc
  .tuple(
    fc.record(
      {
        version: fc.constant(1 as const),
        name: fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,62}[A-Za-z0-9_]$/),
        host,
        port,
        user,
        charset,
        key: path,
        forwards: fc.record({
          local: fc.array(forward, lists),
          remote: fc.array(fc.oneof(forward, listen), lists),
          dynamic: fc.array(listen, lists),
        }),
        forwardAgent: fc.boolean(),
        hostKeyAlias: fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,20}$/),
        weak: fc.array(fc.constantFrom('ssh-rsa', 'hmac-sha1', 'diffie-hellman-group14-sha1'), lists),
      },
      { requiredKeys: ['version', 'name', 'host', 'port', 'forwards'] },
    ),
    way,
  )
  .map(([fields, ways]) => ({ ...fields, ...ways }) as Session)
  .filter(candidate => {
    try {
      checkSession(candidate)
      return true
    } catch {
      return false
    }
  })

test('any session comes back from an export for PuTTY as it was', () => {
  let seen = 0
  fc.assert(
    fc.property(session, given => {
      seen++
      for (const found of bothWays(given)) {
        if (!isSameSession(found, given)) expect(found).toEqual(given)
      }
    }),
    { numRuns: 500 },
  )
  expect(seen).toBeGreaterThanOrEqual(500)
})

test('the export is a file of regedit’s: UTF-16LE, its mark, CRLF, nothing that breaks out of its line', () => {
  fc.assert(
    fc.property(session, given => {
      const text = formatPuttyRegistry([puttyFromSession(given)]).toString('utf16le')
      expect(text).toMatch(
        /^\ufeffWindows Registry Editor Version 5\.00\r\n\r\n\[HKEY_CURRENT_USER\\Software\\SimonTatham\\PuTTY\\Sessions\\[\w.-]+\]\r\n/,
      )
      for (const line of text.split('\r\n').slice(3, -2)) {
        expect(line).toMatch(/^"\w+"=(?:dword:[\da-f]{8}|"(?:[^"\\]|\\["\\])*")$/)
      }
      expect(text.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/)
    }),
    { numRuns: 200 },
  )
})

test.each([
  [{ jump: 'gate' }, { ProxyMethod: 6, ProxyHost: 'gate', ProxyPort: 22, ProxyUsername: '' }],
  [{ jump: 'hana@[::1]:2222' }, { ProxyMethod: 6, ProxyHost: '::1', ProxyPort: 2222, ProxyUsername: 'hana' }],
  [{ proxyCommand: 'nc %h %p' }, { ProxyMethod: 5, ProxyTelnetCommand: 'nc %host %port' }],
  [{ charset: 'latin1' }, { LineCodePage: 'ISO-8859-1:1998 (Latin-1, West Europe)' }],
  [{ charset: 'euc-jp' }, { LineCodePage: 'euc-jp' }],
  [{ forwardAgent: true }, { AgentFwd: 1 }],
  [
    { forwards: { ...none, local: ['1110:localhost:110', '[FD00::1]:1:[::1]:2'], dynamic: ['1080'] } },
    { PortForwardings: 'L1110=localhost:110,L[fd00::1]:1=[::1]:2,D1080=' },
  ],
])('%j becomes %j', (fields, values) => {
  const found = puttyFromSession({ ...bare, ...fields })
  expect([Object.fromEntries(found.values), found.leftOut]).toEqual([expect.objectContaining(values), []])
})

test('what PuTTY has no word for is said', () => {
  const forwards = { local: ['*:1110:localhost:110'], remote: ['1081'], dynamic: ['/run/a.sock'] }
  const { leftOut } = puttyFromSession({ ...bare, forwards, jump: 'a,b', weak: ['ssh-rsa'] })
  expect(leftOut).toEqual([
    'the way over a,b',
    '-L *:1110:localhost:110, -R 1081, -D /run/a.sock',
    'the weak algorithms ssh-rsa',
  ])
})
