import { detectSaved, readSaved } from '../src/config/putty/saved.js'
import { sessionFromPutty } from '../src/config/putty/session.js'
import { exported, ROOT, sessionLines, settings } from './putty-files.js'

const carried = (values: Readonly<Record<string, string | number>>, name?: string) => {
  const found = sessionFromPutty(settings(values, name))
  if ('passedOver' in found) throw new Error(found.passedOver)
  return found
}
const sessionOf = (values: Readonly<Record<string, string | number>>) => carried(values).session

describe('a registry export', () => {
  const bytes = exported(
    `[${ROOT}]`,
    '',
    `[${ROOT}\\Sessions]`,
    '',
    ...sessionLines('Mail%20%28old%29', {
      HostName: 'mail.example',
      PortNumber: 229,
      PublicKeyFile: 'C:\\keys\\"a".ppk',
    }),
    `[${ROOT}\\SshHostKeys]`,
    '"ssh-ed25519@22:mail.example"="0x1,0x2"',
    '"rsa2@229:%5B2001%3Adb8%3A%3A1%5D"="0x10001,0xabc"',
    '',
    `[${ROOT}\\SshHostCAs\\work]`,
    '"PublicKey"="AAAA"',
  )

  test('gives sessions, host keys and authorities', () => {
    const { sessions, hostKeys, authorities } = readSaved(bytes, 'putty.reg')
    expect(sessions).toEqual([
      {
        name: 'Mail (old)',
        values: new Map([
          ['HostName', 'mail.example'],
          ['PortNumber', '229'],
          ['PublicKeyFile', 'C:\\keys\\"a".ppk'],
        ]),
      },
    ])
    expect(hostKeys).toEqual([
      { name: 'ssh-ed25519@22:mail.example', value: '0x1,0x2' },
      { name: 'rsa2@229:[2001:db8::1]', value: '0x10001,0xabc' },
    ])
    expect(authorities).toBe(1)
  })

  const plain = bytes.toString('utf16le').slice(1)
  const old = plain.replace('Windows Registry Editor Version 5.00', 'REGEDIT4')
  test.each([
    ['UTF-16BE', Buffer.from(`\ufeff${plain}`, 'utf16le').swap16()],
    ['UTF-16BE without a mark', Buffer.from(plain, 'utf16le').swap16()],
    ['UTF-16LE without a mark', Buffer.from(plain, 'utf16le')],
    ['UTF-8 with a mark', Buffer.from(`\ufeff${plain}`)],
    ['UTF-8', Buffer.from(plain)],
    ['REGEDIT4 with LF', Buffer.from(old.replaceAll('\r', ''))],
    ['no end of line at the end', Buffer.from(old.trimEnd())],
  ])('%s: the same', (_, other) => {
    expect(detectSaved(other)).toBe('registry')
    expect(readSaved(other, 'x')).toEqual(readSaved(bytes, 'x'))
  })

  test.each([
    [
      'a code page',
      Buffer.from('REGEDIT4\n[HKCU\\Software\\SimonTatham\\PuTTY\\Sessions\\a]\n"WinTitle"="Gr\xfc\xdfe"', 'latin1'),
      'Grüße',
    ],
    [
      'REG_EXPAND_SZ over lines',
      exported(`[${ROOT}\\Sessions\\a]`, '"WinTitle"=hex(2):61,00,\\', '  62,00,00,00'),
      'ab',
    ],
    ['REG_SZ as bytes', exported(`[${ROOT}\\Sessions\\a]`, '"WinTitle"=hex(1):61,00,00,00'), 'a'],
    ['a text over lines', exported(`[${ROOT}\\Sessions\\a]`, '"WinTitle"="a\r\nb"'), 'a\nb'],
    ['a number below zero', exported(`[${ROOT}\\Sessions\\a]`, '"WinTitle"=dword:ffffffff'), '-1'],
    ['twice: the last', exported(`[${ROOT}\\Sessions\\a]`, '"WinTitle"="a"', '"WinTitle"="b"'), 'b'],
    ['other data', exported(`[${ROOT}\\Sessions\\a]`, '"WinTitle"=hex:61,00'), undefined],
    ['a value to be deleted', exported(`[${ROOT}\\Sessions\\a]`, '"WinTitle"=-'), undefined],
    ['a comment', exported(`[${ROOT}\\Sessions\\a]`, '; a comment', '"WinTitle"="a"  '), 'a'],
    [
      "another user's",
      exported('[HKEY_USERS\\S-1-5-21\\SOFTWARE\\SimonTatham\\PuTTY\\Sessions\\a]', '"WinTitle"="a"'),
      'a',
    ],
  ])('%s', (_, file, value) => {
    expect(readSaved(file, 'x').sessions.map(({ values }) => values.get('WinTitle'))).toEqual([value])
  })

  const escaped = (hex: string) => hex.replace(/[\da-f]{2}/g, '%$&')
  test.each([
    ['UTF-8', 'e697a5e69cac', '日本'],
    ['CP932', '93fa967b8cea', '日本語'],
    ['CP932 with a backslash in it', '835c815b8358', 'ソース'],
    ['CP932 beside ASCII', '776562208354815b836f32', 'web サーバ2'],
    ['CP949', 'bcadb9f6', '서버'],
    ['CP936', 'b2e2cad4', '测试'],
    ['CP1251', 'd1e5f0e2e5f0', 'Сервер'],
    ['CP1252', '42fc726f', 'Büro'],
    ['CP1252, two in a row', 'e96ce87665', 'élève'],
    ['CP1252, a letter of Windows alone', '8a6b6f6461', 'Škoda'],
    ['none of these', '81fdfe', '\u0081ýþ'],
  ])('a name in %s', (_, hex, name) => {
    const file = exported(...sessionLines(escaped(hex), { HostName: 'a' }))
    expect(readSaved(file, 'x').sessions.map(each => each.name)).toEqual([name])
  })

  test('a Japanese REGEDIT4, in whose characters there are backslashes', () => {
    const head = `REGEDIT4\n[${ROOT}\\Sessions\\a]\n"WinTitle"="`
    const file = Buffer.concat([Buffer.from(head), Buffer.from('835c815b8358', 'hex'), Buffer.from('"\n')])
    expect(readSaved(file, 'x').sessions[0]?.values.get('WinTitle')).toBe('ソース')
  })

  test('a key to be deleted is none', () => {
    expect(readSaved(exported(`[-${ROOT}\\Sessions\\a]`, '"HostName"="a"'), 'x').sessions).toEqual([])
  })

  test('of one program alone', () => {
    const kitty = 'HKEY_CURRENT_USER\\Software\\9bis.com\\KiTTY'
    const both = exported(...sessionLines('p', { HostName: 'p' }), ...sessionLines('k', { HostName: 'k' }, kitty))
    const names = (by?: ('putty' | 'kitty')[]) => readSaved(both, 'x', by).sessions.map(({ name }) => name)
    expect([names(), names(['kitty']), names(['putty'])]).toEqual([['p', 'k'], ['k'], ['p']])
  })
})

describe('other files', () => {
  test("PuTTY's on Unix: the first of two counts, a value may hold what it likes", () => {
    const bytes = Buffer.from('Present=1\nHostName=mail.example\nPublicKeyFile=/a=b\nHostName=other\nnonsense\n')
    const { sessions } = readSaved(bytes, 'Mail%20old')
    expect(sessions[0]).toMatchObject({ name: 'Mail old' })
    expect(sessions[0]?.values).toEqual(
      new Map([
        ['Present', '1'],
        ['HostName', 'mail.example'],
        ['PublicKeyFile', '/a=b'],
      ]),
    )
  })

  test("KiTTY's in a folder", () => {
    const bytes = Buffer.from(
      'HostName\\mail.example\\\nPortForwardings\\L1110%3Dlocalhost%3A110\\\nPortNumber\\229\\\n',
    )
    const [saved] = readSaved(bytes, 'a').sessions
    expect(saved && sessionFromPutty(saved)).toMatchObject({
      session: { host: 'mail.example', port: 229, forwards: { local: ['1110:localhost:110'] } },
    })
  })

  test('host keys alone', () => {
    const bytes = Buffer.from('ssh-ed25519@229:mail.example 0x1,0x2\nnonsense\n')
    expect(readSaved(bytes, 'sshhostkeys').hostKeys).toEqual([
      { name: 'ssh-ed25519@229:mail.example', value: '0x1,0x2' },
    ])
  })

  test('WinSCP.ini: its names, folders, tunnel and host keys; what is FTP is passed over', () => {
    const ini = [
      '[Configuration\\Interface]',
      'RandomSeedFile=%25APPDATA%25',
      '[Sessions\\work/%EF%BB%BFb%C3%BCro]',
      'HostName=mail.example',
      'PublicKeyFile=C:%5Ckeys%5Ca.ppk',
      'Tunnel=1',
      'TunnelHostName=gate.example',
      'TunnelUserName=hana',
      'Password=A35C4051',
      '[Sessions\\files]',
      'HostName=ftp.example',
      'FSProtocol=5',
      '[SshHostKeys]',
      'ssh-ed25519@22:mail.example=0x1,0x2',
    ]
    const { sessions, hostKeys } = readSaved(Buffer.from(ini.join('\r\n')), 'WinSCP.ini')
    expect(hostKeys).toEqual([{ name: 'ssh-ed25519@22:mail.example', value: '0x1,0x2' }])
    expect(sessions.map(sessionFromPutty)).toEqual([
      {
        session: expect.objectContaining({
          name: 'work-buro',
          host: 'mail.example',
          key: 'C:\\keys\\a.ppk',
          jump: 'hana@gate.example',
        }),
        leftOut: ['Password: a password: passwords are never carried'],
        looks: 0,
        lookAt: ["the key's path is not of this machine: C:\\keys\\a.ppk"],
      },
      { passedOver: 'it is for FSProtocol 5, not for SSH' },
    ])
  })
})

describe('a session of PuTTY', () => {
  test('as a whole', () => {
    const values = {
      HostName: ' hana@mail.example ',
      UserName: 'nobody',
      PortNumber: 229,
      LineCodePage: 'EUC-JP',
      PublicKeyFile: '/home/hana/a.ppk',
      PortForwardings: 'L1110=localhost:110,R8080=localhost:80,D1080=',
      AgentFwd: 1,
      LogHost: 'real.example',
      ProxyMethod: 6,
      ProxyHost: 'gate.example',
      ProxyPort: 2222,
      ProxyUsername: 'jump',
    }
    expect(carried(values, 'Mail: Ärger (2)')).toEqual({
      session: {
        version: 1,
        name: 'Mail-Arger-2',
        host: 'mail.example',
        port: 229,
        user: 'hana',
        charset: 'euc-jp',
        key: '/home/hana/a.ppk',
        forwards: { local: ['1110:localhost:110'], remote: ['8080:localhost:80'], dynamic: ['1080'] },
        jump: 'jump@gate.example:2222',
        forwardAgent: true,
        hostKeyAlias: 'real.example',
      },
      leftOut: [],
      looks: 0,
      lookAt: ['the agent is forwarded: the server may use it', 'its host key is looked up as that of real.example'],
    })
  })

  test.each([
    ['mail.example', 'mail.example', undefined],
    ['hana@corp@mail.example', 'mail.example', 'hana@corp'],
    ['::1', '::1', undefined],
    ['[2001:db8::1]', '2001:db8::1', undefined],
    ['hana@[::1]:22', '::1', 'hana'],
    ['mail.example:2222', 'mail.example', undefined],
  ])('HostName %j', (HostName, host, user) => {
    expect(sessionOf({ HostName })).toMatchObject({ host, port: 22, ...(user && { user }) })
  })

  test.each([
    ['UTF-8', 'utf-8'],
    ['', undefined],
    ['Use font encoding', undefined],
    ['ISO-8859-1:1998 (Latin-1, West Europe)', 'iso-8859-1'],
    ['ISO-8859-15:1999 (Latin-9, "euro")', 'iso-8859-15'],
    ['ISO-8859-1', 'iso-8859-1'],
    ['iso88592', 'iso-8859-2'],
    ['ISO-8859-11:2001 (Latin/Thai)', 'iso-8859-11'],
    ['KOI8-R', 'koi8-r'],
    ['Win1251 (Cyrillic)', 'windows-1251'],
    ['CP1251', 'windows-1251'],
    ['CP437', 'cp437'],
    ['CP866', 'cp866'],
    ['CP932', 'shift_jis'],
    ['51932', 'euc-jp'],
    ['CP20932', 'euc-jp'],
    ['936', 'gbk'],
    ['IBM949', 'euc-kr'],
    ['CP65001', 'utf-8'],
    ['28605', 'iso-8859-15'],
    ['EUC-JP', 'euc-jp'],
    ['Shift-JIS', 'shift_jis'],
    ['Big5', 'big5'],
  ])('LineCodePage %j', (LineCodePage, charset) => {
    const found = carried({ LineCodePage })
    expect([found.session.charset, found.leftOut]).toEqual([charset, []])
  })

  test.each(['CP620 (Mazovia)', 'VSCII', 'CP99999', 'CP1200', 'UTF-16', 'klingon'])(
    'LineCodePage %j is left out',
    LineCodePage => {
      const found = carried({ LineCodePage })
      expect(found.session).not.toHaveProperty('charset')
      expect(found.leftOut).toEqual([`LineCodePage: ${LineCodePage} is a character set that is not known here`])
    },
  )

  test.each([
    ['L1110=localhost:110', { local: ['1110:localhost:110'] }],
    ['4L1110=localhost:110', { local: ['1110:localhost:110'] }],
    ['6L1110=localhost:110', { local: ['[::1]:1110:localhost:110'] }],
    ['L0.0.0.0:1110=localhost:110', { local: ['0.0.0.0:1110:localhost:110'] }],
    ['L[::1]:1110=[2001:db8::1]:110', { local: ['[::1]:1110:[2001:db8::1]:110'] }],
    ['R8080=localhost:80,', { remote: ['8080:localhost:80'] }],
    ['D1080=,D1081', { dynamic: ['1080', '1081'] }],
    ['6D1080=', { dynamic: ['[::1]:1080'] }],
    ['D127.0.0.2:1080=', { dynamic: ['127.0.0.2:1080'] }],
    ['1110=localhost:110', { local: ['1110:localhost:110'] }],
    ['L1110=local\\host:110', { local: ['1110:localhost:110'] }],
  ])('PortForwardings %j', (PortForwardings, forwards) => {
    const found = carried({ PortForwardings })
    const none = { local: [], remote: [], dynamic: [] }
    expect([found.session.forwards, found.leftOut]).toEqual([{ ...none, ...forwards }, []])
  })

  test.each([
    ['Lhttp=localhost:80', "1 that can't be carried: Lhttp=localhost:80"],
    [
      'L1110=localhost:http,L70000=a:1,L1111=localhost:110',
      "2 that can't be carried: L1110=localhost:http, L70000=a:1",
    ],
    ['L1110=-oProxyCommand=x:110', "1 that can't be carried: L1110=-oProxyCommand=x:110"],
    ['L1110=a\\,b:110', "1 that can't be carried: L1110=a,b:110"],
    ['L1110=', "1 that can't be carried: L1110"],
    ['=,==,,', "1 that can't be carried: =="],
    ['L1110=a\u001b[31m:110', "1 that can't be carried: L1110=a\\u{1b}[31m:110"],
    [
      Array.from({ length: 12 }, (_, i) => `Lx${i}=a:1`).join(','),
      `12 that can't be carried: ${Array.from({ length: 10 }, (_, i) => `Lx${i}=a:1`).join(', ')} and 2 more`,
    ],
    [`L1=${'a'.repeat(5000)}`, `1 that can't be carried: L1=${'a'.repeat(77)}…`],
  ])('PortForwardings %j: which are left out is said', (PortForwardings, said) => {
    expect(carried({ PortForwardings }).leftOut).toEqual([`PortForwardings: ${said}`])
  })

  const PROXY = { ProxyHost: 'gate.example', ProxyPort: 3128, ProxyUsername: 'hana' }
  test.each([
    ['no proxy', { ...PROXY, ProxyMethod: 0 }, {}],
    ['ssh', { ProxyMethod: 6, ProxyHost: '::1', ProxyPort: 22 }, { jump: '[::1]' }],
    [
      'a command',
      { ProxyMethod: 5, ProxyTelnetCommand: 'nc -x %proxyhost:%proxyport %host %port', ...PROXY },
      { proxyCommand: 'nc -x gate.example:3128 %h %p' },
    ],
    [
      'a command with signs',
      { ProxyMethod: 5, ProxyTelnetCommand: 'a\\\\b %% 100% \\x25 %host\\n' },
      { proxyCommand: 'a\\b %% 100%% %% %h' },
    ],
    [
      'an old command',
      { ProxyType: 4, ProxyTelnetCommand: 'nc %host %port %user', ...PROXY },
      { proxyCommand: 'nc %h %p hana' },
    ],
  ])('a way by %s', (_, values, way) => {
    const { session } = carried(values)
    const { jump, proxyCommand } = session
    expect({ ...(jump && { jump }), ...(proxyCommand && { proxyCommand }) }).toEqual(way)
  })

  test.each([
    ['SOCKS 4 that wants a user or a password', { ProxyMethod: 1 }],
    ['SOCKS 5 that wants a user or a password', { ProxyMethod: 2 }],
    ['HTTP that wants a user or a password', { ProxyMethod: 3 }],
    ['Telnet', { ProxyMethod: 4 }],
    ['ssh subsystem', { ProxyMethod: 8 }],
    ['HTTP that wants a user or a password', { ProxyType: 1 }],
    ['SOCKS 4 that wants a user or a password', { ProxyType: 2, ProxySOCKSVersion: 4 }],
    ['unknown', { ProxyMethod: 99 }],
    ...[
      '',
      '-x',
      'a;b',
      '$(touch x)',
      'a b',
      '`x`',
      'a%h',
      'a\nb',
      '[::1',
      'fe80::1%eth0',
      'b"c',
      'ä',
      'a'.repeat(256),
    ].map((ProxyHost): [string, Record<string, string | number>] => [
      'SOCKS 5, its host is no name of a host',
      { ProxyMethod: 2, ProxyHost, ProxyUsername: '' },
    ]),
    ...[0, 65536, -1].map((ProxyPort): [string, Record<string, string | number>] => [
      'HTTP, its port is none',
      { ProxyMethod: 3, ProxyPort, ProxyUsername: '' },
    ]),
  ])('a proxy of the kind %s is left out, and the session said so', (kind, values) => {
    const { session, leftOut } = carried({ ...PROXY, ...values })
    expect([session.jump, session.proxyCommand]).toEqual([undefined, undefined])
    expect(leftOut).toEqual([`ProxyMethod: a proxy of the kind ${kind}`])
  })

  test.each([
    [{ ProxyMethod: 1, ProxyPort: 1080 }, 'nc -X 4 -x gate.example:1080 %h %p'],
    [{ ProxyMethod: 2, ProxyPort: 1080 }, 'nc -X 5 -x gate.example:1080 %h %p'],
    [{ ProxyMethod: 2 }, 'nc -X 5 -x gate.example:80 %h %p'],
    [{ ProxyMethod: 3, ProxyPort: 3128 }, 'nc -X connect -x gate.example:3128 %h %p'],
    [{ ProxyMethod: 3, ProxyHost: '::1', ProxyPort: 3128 }, 'nc -X connect -x "[::1]:3128" %h %p'],
    [{ ProxyType: 2, ProxyPort: 1080 }, 'nc -X 5 -x gate.example:1080 %h %p'],
  ])('the proxy %j is one for nc, to be looked at', (values, command) => {
    const { session, leftOut, lookAt } = carried({ ProxyHost: 'gate.example', ...values })
    expect([session.proxyCommand, leftOut]).toEqual([command, []])
    expect(lookAt).toEqual([
      `a command is run to reach the host: ${command}`,
      "its proxy is reached with OpenBSD's nc: it has to be there",
    ])
  })

  test('a proxy whose password was kept without a user is left out, too', () => {
    const found = carried({ ProxyMethod: 3, ProxyHost: 'gate.example', ProxyPassword: 'tiger' })
    expect(found.session).not.toHaveProperty('proxyCommand')
    expect(JSON.stringify(found)).not.toContain('tiger')
  })

  test("a way of ours goes before PuTTY's", () => {
    const { session, lookAt } = carried({ ProxyMethod: 2, ProxyHost: 'gate.example', KeytoolJump: 'a,b' })
    expect([session.jump, session.proxyCommand, lookAt]).toEqual(['a,b', undefined, []])
  })

  test.each(['nc -P %pass %host', 'nc %user %host', 'nc %proxyhost %host'])(
    'the command %j is left out',
    ProxyTelnetCommand => {
      const proxy = { ProxyMethod: 5, ProxyHost: '$(touch x)', ProxyUsername: 'a;b', ProxyPassword: 'tiger' }
      const found = carried({ ...proxy, ProxyTelnetCommand })
      expect(found.session).not.toHaveProperty('proxyCommand')
      expect(found.leftOut).toHaveLength(2)
      expect(JSON.stringify(found)).not.toContain('tiger')
    },
  )

  test('a command is shown to be looked at', () => {
    const { lookAt } = carried({ ProxyMethod: 5, ProxyTelnetCommand: 'nc %host %port' })
    expect(lookAt).toEqual(['a command is run to reach the host: nc %h %p'])
  })

  test.each(['C:\\keys\\a.ppk', 'keys/a.ppk'])('the key %j is kept, and to be looked at', PublicKeyFile => {
    const found = carried({ PublicKeyFile })
    expect(found.session.key).toBe(PublicKeyFile)
    expect(found.lookAt).toEqual([`the key's path is not of this machine: ${PublicKeyFile}`])
  })

  test.each([
    [{ Protocol: 'telnet' }, 'it is for telnet, not for SSH'],
    [{ Protocol: 'serial', HostName: '' }, 'it is for serial, not for SSH'],
    [{ Protocol: 'a\u001b[31m' }, 'it is for a\\u{1b}[31m, not for SSH'],
    [{ HostName: '' }, 'it names no host'],
    [{ SshProt: 0 }, 'it is for SSH-1'],
  ])('%j is passed over', (values, why) => {
    expect(sessionFromPutty(settings(values))).toEqual({ passedOver: why })
  })

  test.each([
    [{ HostName: '-oProxyCommand=touch x' }],
    [{ HostName: 'a\u001b[31mb' }],
    [{ HostName: 'a\nHost b' }],
    [{ HostName: 'a b' }],
    [{ HostName: '$(touch x)' }],
    [{ HostName: `${'a'.repeat(256)}` }],
    [{ UserName: '-l' }],
    [{ UserName: 'a\nb' }],
    [{ HostName: '-x@mail.example' }],
    [{ PortNumber: 0 }],
    [{ PortNumber: 65536 }],
    [{ PortNumber: -1 }],
    [{ PublicKeyFile: '-oProxyCommand=x' }],
    [{ PublicKeyFile: 'a\u0007' }],
    [{ LogHost: '-x' }],
    [{ ProxyMethod: 6, ProxyHost: '-oProxyCommand=x' }],
    [{ ProxyMethod: 6, ProxyHost: 'gate', ProxyUsername: 'a,-oProxyCommand=x' }],
    [{ ProxyMethod: 6, ProxyHost: 'gate', ProxyPort: 0 }],
    [{ ProxyMethod: 5, ProxyTelnetCommand: 'a\\x1bb' }],
    [{ ProxyMethod: 5, ProxyTelnetCommand: '' }],
    [{ KeytoolJump: 'a,-b' }],
    [{ KeytoolProxyCommand: 'a\nb' }],
    [{ KeytoolWeak: 'a b' }],
  ])('%j is refused', values => {
    expect(() => sessionFromPutty(settings(values))).toThrow(expect.objectContaining({ name: 'KeytoolError' }))
  })
})

describe('what is left out', () => {
  test('is named where it is not the default, and never shown', () => {
    const { leftOut, looks } = carried({
      Compression: 1,
      X11Forward: 1,
      TryAgent: 0,
      RemoteCommand: 'mysql -psecret',
      Environment: 'TOKEN=secret',
      ProxyPassword: 'secret',
      BugHMAC2: 2,
      BugRekey2: 0,
      Cipher: 'des,aes,WARN',
      KEX: 'ecdh,WARN,dh-group1-sha1',
      TCPNoDelay: 1,
      RekeyBytes: '1G',
      TermWidth: 80,
      Colour0: '187,187,187',
    })
    expect(leftOut.map(line => line.split(':')[0])).toEqual([
      'ProxyPassword',
      'Compression',
      'RemoteCommand',
      'X11Forward',
      'TryAgent',
      'Cipher',
      'Environment',
      'BugHMAC2',
    ])
    expect(JSON.stringify(leftOut)).not.toContain('secret')
    expect(looks).toBe(2)
  })

  test('is bounded, whatever the file holds', () => {
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`Bug${i}`, 'x\u001b[31m']))
    const { leftOut } = carried({ ...many, [`Bug${'x'.repeat(5000)}`]: 1 })
    expect(leftOut.length).toBeLessThan(50)
    expect(JSON.stringify(leftOut)).not.toContain('31m')
  })
})

describe('a hostile file', () => {
  const header = 'Windows Registry Editor Version 5.00\n'
  test.each([
    ['nothing', ''],
    ['a mark alone', '\ufeff'],
    ['a key', '-----BEGIN OPENSSH PRIVATE KEY-----\n'],
    ['a picture', '\u0089PNG\r\n\u001a\n\0\0'],
  ])('%s: none of these', (_, text) => {
    expect(detectSaved(Buffer.from(text))).toBeUndefined()
    expect(() => readSaved(Buffer.from(text), 'x')).toThrow(expect.objectContaining({ code: 'unsupported' }))
  })

  test.each([
    ['a quote left open', `${header}[a]\n"b"="c\n`],
    ['a name left open', `${header}[a]\n"b=c\n`],
    ['a bracket left open', `${header}[a\n`],
    ['something behind a text', `${header}[a]\n"b"="c" d\n`],
    ['a text of a megabyte', `${header}[a]\n"b"="${'c'.repeat(1 << 20)}"\n`],
    ['an escape at the end', `${header}[a]\n"b"="c\\`],
    ['another line', `${header}<html>\n`],
  ])('%s: damaged, with the line', (_, text) => {
    expect(() => readSaved(Buffer.from(text), 'x')).toThrow(
      expect.objectContaining({ code: 'damaged', message: expect.stringMatching(/^line \d+ of it/) }),
    )
  })

  test('numbers and bytes that are none are passed over', () => {
    const [saved] = readSaved(
      exported(`[${ROOT}\\Sessions\\a]`, '"A"=dword:xyz', '"B"=hex(2):zz,\\', '"C"="c"'),
      'x',
    ).sessions
    expect([...(saved?.values ?? [])]).toEqual([['B', '']])
  })

  test.each(['__proto__', 'constructor', 'toString'])('a setting called %s is one like others', name => {
    const found = sessionFromPutty(settings({ [name]: 'x' }))
    expect(found).toMatchObject({ looks: 1 })
  })
})
