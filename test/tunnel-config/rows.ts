// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are ssh's variables
/** One config, and what is asked of it. */
export interface Row {
  readonly name: string
  /** `{home}` is the home folder. */
  readonly config: string
  /** Files under the home folder that it includes. */
  readonly files?: Readonly<Record<string, string>>
  /** Default `web1`. */
  readonly host?: string
  readonly user?: string
  readonly port?: number
  readonly extra?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** ssh refuses it, and so do we. */
  readonly isBad?: boolean
  /** OpenSSH reads it so from this version on. Default: all that are tried. */
  readonly since?: number
}

const row = (name: string, config: string, more: Partial<Row> = {}): Row => ({ name, config, ...more })
const bad = (name: string, config: string, more: Partial<Row> = {}): Row => ({ name, config, isBad: true, ...more })

const grammar: Row[] = [
  row('nothing', ''),
  row('blank lines and comments', '\n \t\n# Host web1\n   # "open\nPort 1 # a comment\n'),
  row('an equals sign', 'Port=2201\nUser = u1\nHostName  =  h1\n'),
  row('tabs', '\tPort\t2201\t\n\tUser\tu1\n'),
  row('CRLF', 'Host web1\r\n  Port 2201\r\n  User u1\r\n'),
  row('no newline at the end', 'User u1\nPort 2201'),
  row('a form feed at the end', 'User u1\f\nPort 2201\n'),
  row('any letters', 'PORT 2201\nuSeR u1\nhost OTHER\n  Port 2\n'),
  row('quotes', 'User "u 1"\nHostName "h1"\nIdentityFile "~/.ssh/a key"\nIdentityFile \'~/.ssh/b key\'\n'),
  row('quotes around a keyword', '"User" u1\n'),
  row('quotes in a word', 'HostName h"o"st\nIdentityFile ~/"a b"/c\n'),
  row('backslashes', 'IdentityFile ~/a\\ b\nIdentityFile ~/a\\"b\nCertificateFile ~/a\\\\b\\c\n'),
  row('a hash within a word', 'User a#b\nTag "#t"\n', { since: 1000 }),
  row('first wins', 'Port 1\nPort 2\nHost web1\n  User a\n  Port 3\nHost *\n  User b\n'),
  row('an equals sign in a value', 'SetEnv A=b=c\nUser a=b\n'),
  bad('a quote left open', 'User "u1\n'),
  bad('a quote left open in a command', 'ProxyCommand echo "x\n'),
  bad('an unknown keyword', 'Prot 22\n'),
  bad('an unknown keyword in a block for others', 'Host other\n  Prot 22\n'),
  bad('no value', 'Port\n'),
  bad('an empty value', 'User ""\n'),
  bad('too many values', 'Port 22 23\n'),
  row('unknown keywords that are passed over', 'IgnoreUnknown Use*,foo\nUseKeychain yes\nFoo bar baz\nPort 2201\n'),
  bad('passed over too late', 'Foo bar\nIgnoreUnknown foo\n'),
  bad('passed over for others', 'Host other\n  IgnoreUnknown foo\nHost *\n  Foo bar\n'),
  row('what was and what is not done', 'Protocol 2\nUsePrivilegedPort no\nControlMaster auto\nCipher 3des\n'),
  bad('a byte order mark', '\ufeffPort 22\n'),
]

const values: Row[] = [
  ...['yes', 'no', 'true', 'FALSE', 'Yes'].map(word =>
    row(
      `flags: ${word}`,
      [
        'ExitOnForwardFailure GatewayPorts HashKnownHosts IdentitiesOnly KbdInteractiveAuthentication',
        'PasswordAuthentication PubkeyAuthentication TCPKeepAlive ForwardAgent StrictHostKeyChecking UpdateHostKeys RequestTTY',
      ]
        .flatMap(line => line.split(' '))
        .map(name => `${name} ${word}\n`)
        .join(''),
    ),
  ),
  bad('a flag that is none', 'IdentitiesOnly maybe\n'),
  bad('a flag for others that is none', 'Host other\n  IdentitiesOnly maybe\n'),
  row('other words', 'StrictHostKeyChecking accept-new\nRequestTTY force\nUpdateHostKeys ask\nAddressFamily inet6\n'),
  row('more words', 'StrictHostKeyChecking off\nRequestTTY auto\nAddressFamily any\nPubkeyAuthentication unbound\n'),
  row('old names', 'KeepAlive no\nChallengeResponseAuthentication no\nDSAAuthentication no\nIdentityFile2 ~/x\n'),
  row('compression', 'Compression yes\n'),
  bad('compression, another word', 'Compression true\n'),
  row('times', 'ServerAliveInterval 1m30s\nConnectTimeout 1H\n'),
  row('times: none', 'ConnectTimeout none\nConnectTimeout 5\nServerAliveInterval 2w1d\n'),
  bad('no time', 'ServerAliveInterval 1y\n'),
  bad('a time too long', 'ServerAliveInterval 99999w\n'),
  row('numbers', 'ConnectionAttempts 3\nServerAliveCountMax 0\nNumberOfPasswordPrompts 1\n'),
  bad('no number', 'ServerAliveCountMax -1\n'),
  bad('a port too high', 'Port 65536\n'),
  bad('port 0', 'Port 0\n'),
  row('escape characters', 'EscapeChar ^b\n'),
  row('escape character: none', 'EscapeChar none\n'),
  row('escape character: one', 'EscapeChar "#"\n'),
  bad('escape characters: two', 'EscapeChar ab\n'),
  ...['quiet', 'SILENT', 'Fatal', 'VERBOSE', 'DEBUG1', 'debug3'].map(level =>
    row(`log: ${level}`, `LogLevel ${level}\n`),
  ),
  bad('no log level', 'LogLevel loud\n'),
  row('algorithms', 'Ciphers aes256-ctr,aes128-ctr\nMACs +hmac-md5\nKexAlgorithms ^ecdh-sha2-nistp521\n'),
  row('algorithms without', 'HostKeyAlgorithms -ssh-ed25519\nCiphers -aes128-ctr\nKexAlgorithms curve25519-sha256\n'),
  row('ways in', 'PreferredAuthentications publickey,password\nBindAddress 127.0.0.1\n'),
  row('an alias', 'HostKeyAlias WEB-One\n'),
  row('SendEnv', 'SendEnv LANG LC_*\nSendEnv FOO\nSendEnv -LC_* FOO\n'),
  bad('SendEnv with a value', 'SendEnv A=b\n'),
  row('SetEnv', 'SetEnv A=1 B="two words" A=3\nSetEnv C=4\n'),
  bad('SetEnv without a value', 'SetEnv A\n'),
  row('SetEnv with tokens', 'SetEnv H=%h-%n P=%p\n', { since: 1000 }),
  row('RemoteCommand', 'RemoteCommand  echo %h %% "%n" # all of it\n'),
  row('RemoteCommand: none', 'RemoteCommand none\nRemoteCommand ls\n'),
]

const blocks: Row[] = [
  row('Host', 'Host other web1\n  Port 2\nHost web?\n  User a\nHost *1\n  BindAddress 127.0.0.2\n'),
  row('Host negated', 'Host * !web1\n  Port 2\nHost !other web*\n  User a\n'),
  row('Host negated alone', 'Host !other\n  Port 2\n'),
  row('Host in other letters', 'Host WEB1\n  Port 2\nHost web1\n  Port 3\n'),
  row('Host as typed', 'Host WEB1\n  Port 2\nHost web1\n  Port 3\n', { host: 'WEB1' }),
  row('Host is about what was typed', 'HostName real.example\nHost real.example\n  Port 2\nHost web1\n  Port 3\n'),
  row('Host none', 'Host none web1\n  Port 2\n'),
  bad('Host without a pattern', 'Host\n'),
  bad('Host with an empty pattern', 'Host ""\n'),
  row('Match all', 'Host other\n  Port 2\nMatch all\n  User a\n'),
  row('Match host', 'HostName REAL.example\nMatch host real.*\n  Port 2\nMatch host web1\n  Port 3\n'),
  row('Match host, a list', 'Match host other,!x*,web*\n  Port 2\nMatch host !web1,*\n  User a\n'),
  row('Match with an equals sign', 'Match host=web1\n  Port 2\nMatch originalhost=web1 user=*\n  User a\n'),
  row('Match originalhost', 'HostName real\nMatch originalhost WEB1\n  Port 2\nMatch !originalhost web1\n  Port 3\n'),
  row('Match user', 'User deploy\nMatch user dep*,!root\n  Port 2\nMatch !user deploy\n  Port 3\n'),
  row('Match user of the command line', 'User deploy\nMatch user root\n  Port 2\n', { user: 'root' }),
  row('Match localuser', 'Match localuser nobody,{user}\n  Port 2\n'),
  row('Match several', 'Match host web1 user x\n  Port 2\nMatch host web1 !user x\n  Port 3\n'),
  row('Match after Host', 'Host other\n  Port 2\nMatch host web1\n  Port 3\n'),
  row('Match tagged', 'Host web*\n  Tag blue\nMatch tagged bl*,red\n  Port 2\nMatch !tagged blue\n  Port 3\n', {
    since: 1000,
  }),
  row('Match final', 'Match final host web1.example\n  Port 2\nHost web1\n  HostName WEB1.example\n'),
  row('Match final all', 'Match final all\n  User late\nHost web1\n  User early\n  IdentityFile ~/a\n  SendEnv A\n'),
  row('Host in the second pass', 'Host web1\n  HostName Real\nHost real\n  Port 2\nMatch final\n'),
  row('Match !final', 'Match !final\n  Port 2\n', { since: 1000 }),
  row('Match canonical', 'Match canonical all\n  Port 2\nMatch !canonical host web1\n  User a\n'),
  row('Match exec that is ruled out before', 'Match host other exec "exit 0"\n  Port 2\n'),
  row('Match and a comment', 'Match host web1 # user x\n  Port 2\n'),
  bad('Match without a criterion', 'Match # none\n'),
  bad('Match without an argument', 'Match host\n'),
  bad('Match by something unknown', 'Match weekday monday\n'),
  bad('Match all with more', 'Match all host web1\n'),
  row('Match in quotes', 'Match host "web1" user "*"\n  Port 2\n'),
]

const includes: Row[] = [
  row('Include', 'Include a.conf\nPort 2\n', { files: { '.ssh/a.conf': 'User a\nPort 1\n' } }),
  row('Include from here', 'Include {home}/x/a.conf ~/x/b.conf\n', {
    files: { 'x/a.conf': 'User a\n', 'x/b.conf': 'Port 2\n' },
  }),
  row('Include by pattern, in order', 'Include conf.d/*.conf\n', {
    files: { '.ssh/conf.d/b.conf': 'Port 2\n', '.ssh/conf.d/a.conf': 'Port 1\n', '.ssh/conf.d/.c.conf': 'User c\n' },
  }),
  row('Include by a set', 'Include [b-d]?.conf {home}/.ss[!x]/z\n', {
    files: { '.ssh/c1.conf': 'Port 2\n', '.ssh/a1.conf': 'Port 1\n', '.ssh/z': 'User z\n' },
  }),
  row('Include of nothing', 'Include not-there *.not-there\nPort 2\n'),
  row('Include of a folder', 'Include sub\nPort 2\n', { files: { '.ssh/sub/a': 'Port 1\n' } }),
  row('Include within Host', 'Host web1\n  Include a.conf\n  User late\n', {
    files: { '.ssh/a.conf': 'Host other\n  Port 1\nHost web1\n  Port 2\n' },
  }),
  row('Include within a Host for others', 'Host other\n  Include a.conf\n  Port 1\nHost web1\n  User b\n', {
    files: { '.ssh/a.conf': 'User a\nHost web1\n  Port 2\nMatch all\n  Port 3\n' },
  }),
  row('what an include ends with', 'Include a.conf\nPort 2\n', { files: { '.ssh/a.conf': 'Host other\n  User x\n' } }),
  row('what an include ends with, within Host', 'Host web1\nInclude a.conf\nPort 2\n', {
    files: { '.ssh/a.conf': 'Match host other\n  User x\n' },
  }),
  row('Include and Match final', 'Include a.conf\nHost web1\n  HostName real\n', {
    files: { '.ssh/a.conf': 'Match final host real\n  Port 2\n' },
  }),
  bad('an include that is bad', 'Include a.conf\n', { files: { '.ssh/a.conf': 'Prot 2\n' } }),
  bad('an include for others that is bad', 'Host other\nInclude a.conf\n', { files: { '.ssh/a.conf': 'Prot 2\n' } }),
  bad('an include of itself', 'Include a.conf\n', { files: { '.ssh/a.conf': 'Include a.conf\n' } }),
  bad('an include without a name', 'Include ""\n'),
  row('Include with tokens', 'Host web1\n  HostName real\nInclude %h-%n.conf ${KT_DIR}/b.conf\n', {
    files: { '.ssh/real-web1.conf': 'Port 2\n', '.ssh/d/b.conf': 'User b\n' },
    env: { KT_DIR: 'd' },
    since: 1000,
  }),
]

const places: Row[] = [
  row('HostName', 'HostName %h.example.%%\n'),
  row('HostName in other letters', 'HostName WEB1.Example\n'),
  bad('HostName with another token', 'HostName %n.example\n'),
  row('an address', '', { host: '127.0.0.1' }),
  row('a short address', '', { host: '127.1' }),
  row('an IPv6 address', '', { host: '2001:DB8::0001' }),
  row('HostName, an IPv6 address', 'HostName ::FFFF:127.0.0.1\n'),
  row('the command line first', 'User a\nPort 1\n', { user: 'b', port: 2 }),
  row('options first', 'User a\nPort 1\nIdentityFile ~/b\n', {
    extra: ['user=c', 'Port 3', 'IdentityFile=~/a', 'IdentitiesOnly = yes'],
  }),
  bad('a bad option', '', { extra: ['prot=1'] }),
  bad('Host as an option', '', { extra: ['Host=a'] }),
  bad('Include as an option', '', { extra: ['Include=a'] }),
  row(
    'key files',
    'IdentityFile ~/.ssh/a\nHost web1\n  IdentityFile /k/b\n  IdentityFile ~/.ssh/a\n  CertificateFile ~/c\n',
  ),
  row('key files: none', 'IdentityFile none\n'),
  row('known hosts', 'UserKnownHostsFile ~/a /b "~/c d"\nUserKnownHostsFile ~/e\nGlobalKnownHostsFile /g /h\n'),
  row('known hosts: none', 'UserKnownHostsFile none\nGlobalKnownHostsFile none\n'),
  row(
    'known hosts with tokens',
    'HostName real\nPort 2201\nUser a\nUserKnownHostsFile ~/%h-%n-%p-%r-%u-%L-%l-%i-%k ${KT_X}/%%\n',
    {
      env: { KT_X: '/x' },
    },
  ),
  row('known hosts by hash', 'HostName real\nPort 2201\nUser a\nUserKnownHostsFile ~/%C\n'),
  row('known hosts by hash, with a jump', 'ProxyJump a@gw1,b@gw2:22\nUserKnownHostsFile ~/%C-%j\n', { since: 1000 }),
  row('known hosts by alias', 'HostKeyAlias AL\nUserKnownHostsFile ~/%k\n'),
  row('the home as a token', 'UserKnownHostsFile %d/k\nIdentityAgent %d/s\n'),
  bad('an unknown token', 'UserKnownHostsFile ~/%x\n'),
  bad('a variable without a value', 'UserKnownHostsFile ${KT_NOT_THERE}/x\n'),
  row('an agent', 'IdentityAgent ~/agent-%r.sock\n'),
  row('an agent: none', 'IdentityAgent none\n'),
  row('an agent in a variable', 'IdentityAgent ${KT_SOCK}\n', { env: { KT_SOCK: '/s' } }),
  bad('an agent in no variable', 'IdentityAgent $a-b\n'),
  row('an agent forwarded', 'ForwardAgent /tmp/%h.sock\n'),
  row('an agent forwarded, yes first', 'ForwardAgent yes\nForwardAgent no\n'),
  row('a jump', 'ProxyJump gw\n'),
  row('jumps', 'ProxyJump a@gw1:2201,gw2,ssh://c@gw3:22\nProxyCommand x\n'),
  row('a jump to addresses', 'ProxyJump a@127.0.0.1,[::1]:2222\n'),
  row('a jump and a comment', 'ProxyJump gw # home\n'),
  row('a jump: none', 'ProxyJump none\nProxyJump gw\n'),
  row('a jump: none, and a command', 'ProxyJump none\nProxyCommand nc %h %p\n'),
  row('a command, then a jump', 'ProxyCommand nc %h %p # it stays\nProxyJump gw\n'),
  row('a command: none', 'ProxyCommand none\nProxyJump gw\n'),
  row('a command with an equals sign', 'ProxyCommand = a  "b c" %h\n'),
  bad('a jump to nobody', 'ProxyJump a@\n'),
  bad('a jump to a bad port', 'ProxyJump gw:0\n'),
  bad('a jump for others that is bad', 'Host other\n  ProxyJump gw:x\n'),
  row(
    'forwards',
    'LocalForward 8080 mail:110\nLocalForward 127.0.0.2:81 [::1]:80\nRemoteForward 9000 a:1\nDynamicForward 1080\n',
  ),
  row('forwards to everybody', 'LocalForward *:8080 a:1\nLocalForward :8081 a:1\nDynamicForward [::1]:1080\n'),
  row('forwards twice', 'LocalForward 8080 a:1\nLocalForward 8080 a:1\nLocalForward 8080 b:1\n'),
  row(
    'forwards of sockets',
    'LocalForward /a/b.sock c:1\nLocalForward 81 /d\nRemoteForward /e /f\nRemoteForward x:82 /g\n',
  ),
  row('forwards with tokens', 'LocalForward /a/%h-%p.sock /b/%%\nRemoteForward ${KT_S} c:1\n', {
    env: { KT_S: '/s/x' },
  }),
  row('forwards that speak SOCKS', 'RemoteForward 1080\nRemoteForward localhost:0\n'),
  row('forwards cleared', 'LocalForward 8080 a:1\nDynamicForward 1080\nRemoteForward 1 b:2\nClearAllForwardings yes\n'),
  bad('a forward without a target', 'LocalForward 8080\n'),
  bad('a forward to no port', 'LocalForward 8080 a\n'),
  bad('a forward from port 0', 'LocalForward 0 a:1\n'),
  bad('a forward of four and more', 'LocalForward a:1:b c:2:d\n'),
  bad('a forward for others that is bad', 'Host other\n  RemoteForward 1 a:b:c\n'),
  row('user with tokens', 'User %h-%u\n', { since: 1000 }),
]

export const rows: readonly Row[] = [...grammar, ...values, ...blocks, ...includes, ...places]
