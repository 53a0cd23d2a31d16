import { spawn } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { jest } from '@jest/globals'
import { readPrivateKey } from '@keytool/keygen'
import { type ConnectOptions, connect, type HostKeyChanges, KnownHosts, updateHostKeys } from '@keytool/tunnel'
import { type Home, opensshOptions, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { run, runOrThrow } from './world/run.js'

// What known_hosts files say about a server, judged by OpenSSH's client. sshd serves one connection a run, on ssh's own
// pipe, so no port is listened on.

jest.setTimeout(90_000)

const HOST = 'mail.example'
const PORT = 2222

let home: Home
/** Public keys by name, as a line has them: the server's own, another's, authorities'. */
const keys: Record<string, string> = {}

beforeAll(async () => {
  home = await temporaryHome()
  await mkdir('/run/sshd', { recursive: true, mode: 0o755 })
  await Promise.all(
    ['server', 'other', 'authority', 'stranger'].map(async name => {
      await make('-t', 'ed25519', '-f', at(name))
      keys[name] = await publicKey(name)
    }),
  )
  await make('-t', 'rsa', '-b', '2048', '-f', at('rsa'))
  keys['rsa'] = await publicKey('rsa')
})

afterAll(() => home.dispose())

const at = (name: string) => join(home.path, name)
const make = (...args: string[]) => runOrThrow(peerPath('ssh-keygen'), ['-q', '-N', '', '-C', '', ...args])

async function publicKey(name: string): Promise<string> {
  return (await readFile(at(`${name}.pub`), 'utf8')).split(' ').slice(0, 2).join(' ').trim()
}

type Verdict = 'known' | 'unknown' | 'changed' | 'revoked'

/** What ssh says of each verdict, the first that fits; known is what comes to the login. */
const said: readonly (readonly [Verdict, RegExp])[] = [
  ['revoked', /REVOKED HOST KEY/],
  ['changed', /REMOTE HOST IDENTIFICATION HAS CHANGED/],
  ['unknown', /No \S+ host key is known/],
  ['known', /Permission denied/],
]

/** A server for one connection on standard input and output. */
async function server(file: string, ...lines: string[]): Promise<string[]> {
  const config = `${file}.sshd`
  const common = ['UsePAM no', 'PidFile none', 'LogLevel QUIET', 'StrictModes no', 'PermitRootLogin prohibit-password']
  await writeFile(config, `${[...lines, ...common, `AuthorizedKeysFile ${at('authorized_keys')}`].join('\n')}\n`)
  return [peerPath('sshd'), '-i', '-f', config]
}

async function runSsh(
  command: readonly string[],
  more: Record<string, string>,
  args: readonly string[],
): Promise<string> {
  const options = { StrictHostKeyChecking: 'yes', ProxyCommand: command.join(' '), ...more }
  const given = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  return (await run(peerPath('ssh'), [...given, ...opensshOptions(home), ...args])).stderr
}

async function askSsh(file: string, port: number, certificate?: string): Promise<Verdict | string> {
  const shown = [`HostKey ${at('server')}`, 'PubkeyAuthentication no']
  if (certificate !== undefined) shown.push(`HostCertificate ${certificate}`)
  const algorithms = certificate === undefined ? [] : ['ssh-ed25519-cert-v01@openssh.com']
  const options = { UserKnownHostsFile: file, HostKeyAlgorithms: [...algorithms, 'ssh-ed25519'].join(',') }
  const stderr = await runSsh(await server(file, ...shown), options, ['-p', String(port), `x@${HOST}`, 'true'])
  return said.find(([, pattern]) => pattern.test(stderr))?.[0] ?? stderr
}

async function askOurs(file: string, port: number, certificate?: string): Promise<Verdict> {
  const shown = certificate === undefined ? keys['server'] : await readFile(certificate, 'utf8')
  const blob = Buffer.from(shown?.split(' ')[1] ?? '', 'base64')
  const knownHosts = new KnownHosts({ home: home.path, files: [file], systemFiles: [] })
  return (await knownHosts.lookup(HOST, port, blob)).state
}

/** `{server}` and the like stand for keys; `{hidden NAME}` for a name hidden by ssh-keygen. */
async function fill(name: string, template: string): Promise<string> {
  const file = at(`known ${name.replaceAll(/\W+/g, '-')}`.replaceAll(' ', '-'))
  let text = template.replaceAll(/\{(\w+)\}/g, (_all, key: string) => keys[key] ?? '')
  for (const [all, hidden] of text.matchAll(/\{hidden (\S+)\}/g)) text = text.replace(all, await hide(hidden ?? ''))
  await writeFile(file, text)
  return file
}

async function hide(name: string): Promise<string> {
  const file = join(home.path, `hide-${name.replaceAll(/\W/g, '')}`)
  await writeFile(file, `${name} ${keys['server']}\n`)
  await make('-H', '-f', file)
  return (await readFile(file, 'utf8')).split(' ')[0] ?? ''
}

const rows: readonly (readonly [what: string, content: string, port: number, Verdict])[] = [
  ['nothing', '', 22, 'unknown'],
  ['the host', 'mail.example {server}\n', 22, 'known'],
  ['with a comment, CR LF and blanks', ' \tmail.example\t {server} a comment \r\n', 22, 'known'],
  ['in capitals', 'MAIL.Example {server}\n', 22, 'known'],
  ['in a list', 'a,mail.example,b {server}\n', 22, 'known'],
  ['hidden', '{hidden mail.example} {server}\n', 22, 'known'],
  ['hidden, another', '{hidden other.example} {server}\n', 22, 'unknown'],
  ['a pattern', '*.example {server}\n', 22, 'known'],
  ['a pattern of question marks', 'm??l.example {server}\n', 22, 'known'],
  ['ruled out', '*.example,!mail.example {server}\n', 22, 'unknown'],
  ['ruled out first', '!mail.example,*.example {server}\n', 22, 'unknown'],
  ['another host', 'mail.example.org {server}\n', 22, 'unknown'],
  ['a range of addresses is no pattern', '127.0.0.0/8 {server}\n', 22, 'unknown'],
  ['another key', 'mail.example {other}\n', 22, 'changed'],
  ['another type', 'mail.example {rsa}\n', 22, 'changed'],
  ['another key, hidden', '{hidden mail.example} {other}\n', 22, 'changed'],
  ['another key by a pattern', '* {other}\n', 22, 'changed'],
  ['one of two', 'mail.example {other}\nmail.example {server}\n', 22, 'known'],
  ['twice', 'mail.example {server}\nmail.example {server}\n', 22, 'known'],
  ['a comment', '# mail.example {server}\n', 22, 'unknown'],
  ['no key', 'mail.example\nmail.example ssh-ed25519\n', 22, 'unknown'],
  ['cut base64', 'mail.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA\n', 22, 'unknown'],
  ['behind junk, no final newline', 'junk\n\n\nmail.example {server}', 22, 'known'],
  ['revoked', 'mail.example {server}\n@revoked mail.example {server}\n', 22, 'revoked'],
  ['revoked for all', '@revoked * {server}\nmail.example {server}\n', 22, 'revoked'],
  ['revoked elsewhere', 'mail.example {server}\n@revoked other.example {server}\n', 22, 'known'],
  ['another one revoked', 'mail.example {server}\n@revoked * {other}\n', 22, 'known'],
  ['two markers', '@revoked @revoked mail.example {server}\n', 22, 'unknown'],
  ['an unknown marker', '@maybe mail.example {server}\n', 22, 'unknown'],
  ['its own authority, without a certificate', '@cert-authority mail.example {server}\n', 22, 'unknown'],
  ['the port', '[mail.example]:2222 {server}\n', PORT, 'known'],
  ['the port, hidden', '{hidden [mail.example]:2222} {server}\n', PORT, 'known'],
  ['another port', '[mail.example]:2223 {server}\n', PORT, 'unknown'],
  ['a port, where there is none', '[mail.example]:2222 {server}\n', 22, 'unknown'],
  ['no port, good for all', 'mail.example {server}\n', PORT, 'known'],
  ['no port, another key', 'mail.example {other}\n', PORT, 'unknown'],
  ['the port goes first', '[mail.example]:2222 {other}\nmail.example {server}\n', PORT, 'changed'],
  ['a pattern of ports', '[mail.example]:* {server}\n', PORT, 'known'],
]

test.each(rows)('%s', async (what, content, port, verdict) => {
  const file = await fill(what, content)
  expect([await askOurs(file, port), await askSsh(file, port)]).toEqual([verdict, verdict])
})

const DAY = ['-V', '-1d:+1d'] as const
const SIGNED = '@cert-authority *.example {authority}\n'

/** What ssh-keygen is told of the certificate; the authority is `-s`. */
const certified: readonly (readonly [what: string, how: readonly string[], content: string, port: number, Verdict])[] =
  [
    ['signed', ['-n', HOST, ...DAY], SIGNED, 22, 'known'],
    ['without an end', ['-n', HOST], SIGNED, 22, 'known'],
    ['for several hosts', ['-n', `a.example,${HOST}`], SIGNED, 22, 'known'],
    ['for another host', ['-n', 'other.example'], SIGNED, 22, 'unknown'],
    ['expired', ['-n', HOST, '-V', '-2d:-1d'], SIGNED, 22, 'unknown'],
    ['not valid yet', ['-n', HOST, '-V', '+1d:+2d'], SIGNED, 22, 'unknown'],
    ['with a critical option', ['-n', HOST, '-O', 'critical:only@example=x'], SIGNED, 22, 'unknown'],
    ['with an extension', ['-n', HOST, '-O', 'extension:some@example=x'], SIGNED, 22, 'known'],
    ['by a stranger', ['-n', HOST], '@cert-authority *.example {stranger}\n', 22, 'unknown'],
    ['by one of two authorities', ['-n', HOST], `@cert-authority * {stranger}\n${SIGNED}`, 22, 'known'],
    ['by an authority of other hosts', ['-n', HOST], '@cert-authority *.org {authority}\n', 22, 'unknown'],
    ['by an authority that is no authority here', ['-n', HOST], 'mail.example {authority}\n', 22, 'changed'],
    ['and the authority is revoked', ['-n', HOST], `${SIGNED}@revoked * {authority}\n`, 22, 'revoked'],
    ['and the key is revoked', ['-n', HOST], `${SIGNED}@revoked * {server}\n`, 22, 'revoked'],
    ['and the key has changed', ['-n', HOST], `${SIGNED}mail.example {other}\n`, 22, 'known'],
    ['expired, and the key is known', ['-n', HOST, '-V', '-2d:-1d'], `${SIGNED}mail.example {server}\n`, 22, 'known'],
    [
      'expired, and the key has changed',
      ['-n', HOST, '-V', '-2d:-1d'],
      `${SIGNED}mail.example {other}\n`,
      22,
      'changed',
    ],
    ['at another port', ['-n', HOST], SIGNED, PORT, 'known'],
    ['at the port', ['-n', HOST], '@cert-authority [*.example]:2222 {authority}\n', PORT, 'known'],
  ]

test.each(certified)('a certificate %s', async (what, how, content, port, verdict) => {
  const certificate = await certify(what, '-h', ...how)
  const file = await fill(`certificate ${what}`, content)
  expect([await askOurs(file, port, certificate), await askSsh(file, port, certificate)]).toEqual([verdict, verdict])
})

test('a certificate of a user, and one signed with SHA-1', async () => {
  const file = await fill('sha1', `${SIGNED}@cert-authority * {rsa}\n`)
  const user = await certify('user', '-n', HOST)
  expect([await askOurs(file, 22, user), await askSsh(file, 22, user)]).toEqual(['unknown', 'unknown'])
  const sha1 = await certify('by rsa', '-h', '-n', HOST, '-s', at('rsa'), '-t', 'ssh-rsa')
  expect([await askOurs(file, 22, sha1), await askSsh(file, 22, sha1)]).toEqual(['unknown', 'unknown'])
  const sha2 = await certify('by rsa with sha2', '-h', '-n', HOST, '-s', at('rsa'), '-t', 'rsa-sha2-512')
  expect([await askOurs(file, 22, sha2), await askSsh(file, 22, sha2)]).toEqual(['known', 'known'])
})

describe('a server that changes its keys', () => {
  const serverKeys = (...names: string[]) => names.map(name => `HostKey ${at(name)}`)

  /** Lines of known_hosts as they were and as ssh with UpdateHostKeys leaves them; `[]:2222` where the port counts. */
  const files: readonly (readonly [what: string, content: string, port: number])[] = [
    ['a new key', 'mail.example {server}\n', 22],
    ['an old key', 'mail.example {server}\nmail.example {rsa}\nmail.example {other}\n', 22],
    ['both', '# a\nmail.example {server} x\nmail.example {other}\njunk\nweb.example {stranger}\n', 22],
    ['both, hidden', '{hidden mail.example} {server}\n{hidden mail.example} {other}\n', 22],
    ['nothing', 'mail.example {server}\nmail.example {rsa}\n', 22],
    ['a pattern', '*.example {server}\n', 22],
    ['two names', 'mail.example,alias {server}\n', 22],
    ['three names', 'mail.example,a,b {server}\n', 22],
    ['an authority', 'mail.example {server}\n@cert-authority *.org {authority}\n', 22],
    ['an authority of it', 'mail.example {server}\n@cert-authority *.example {authority}\n', 22],
    ['a revoked key', 'mail.example {server}\n@revoked * {other}\n', 22],
    ['its key elsewhere', 'mail.example {server}\nweb.example {server}\n', 22],
    ['its new key elsewhere', 'mail.example {server}\nweb.example {rsa}\n', 22],
    ['its old key elsewhere', 'mail.example {server}\nmail.example {other}\nweb.example {other}\n', 22],
    ['the port', '[mail.example]:2222 {server}\n', PORT],
    ['without the port', 'mail.example {server}\n', PORT],
    ['with and without the port', 'mail.example {stranger}\n[mail.example]:2222 {server}\n', PORT],
  ]

  beforeAll(async () => {
    await make('-t', 'ed25519', '-f', at('login'))
    await writeFile(at('authorized_keys'), await readFile(at('login.pub')))
  })

  test('known_hosts holds afterwards what ssh makes of it', async () => {
    const rotated = await Promise.all(
      files.map(async ([what, content, port], index) => {
        const theirs = await fill(`rotated by ssh ${index}`, content)
        const ours = `${theirs}-ours`
        await writeFile(ours, await readFile(theirs))
        const command = await server(theirs, ...serverKeys('server', 'rsa'))
        const options = {
          UserKnownHostsFile: theirs,
          UpdateHostKeys: 'yes',
          HostKeyAlgorithms: 'ssh-ed25519,rsa-sha2-512',
        }
        // It stays for the answer with the proofs: a second, and longer where both files differ still.
        const go = `${theirs}-go`
        const stay = `sleep 1; for i in $(seq 200); do [ -e ${go} ] && exit; sleep 0.1; done`
        const said = runSsh(command, options, ['-i', at('login'), '-p', String(port), `root@${HOST}`, stay])
        await rotate(ours, port, command)
        const look = async () => ({ ours: await namesAndKeys(ours, port), theirs: await namesAndKeys(theirs, port) })
        const isSame = async () => {
          const now = await look()
          return isDeepStrictEqual(now.ours, now.theirs)
        }
        for (const end = Date.now() + 15_000; !(await isSame()) && Date.now() < end; ) await sleep(50)
        await writeFile(go, '')
        await said
        return { what, ...(await look()) }
      }),
    )
    expect(rotated.map(({ what, ours }) => ({ what, keys: ours }))).toEqual(
      rotated.map(({ what, theirs }) => ({ what, keys: theirs })),
    )
    // That ssh did something, and had its second.
    expect(rotated.slice(0, 4).map(({ theirs }) => theirs.length)).toEqual([2, 2, 5, 2])
  })

  test('the story: a second key, then the first one gone; nobody is asked, and nothing lets a third in', async () => {
    const file = await fill('story', 'mail.example {server}\n')
    const visitWith = async (...names: string[]) => {
      const [changed, tell] = later<HostKeyChanges>()
      const hosts = { knownHosts: new KnownHosts({ home: home.path, files: [file], systemFiles: [] }) }
      const command = await server(file, ...serverKeys(...names))
      await visit(command, { hosts, updateHostKeys: true, onHostKeysChanged: tell }, changed)
      const { added, removed } = await changed
      const known = (await readFile(file, 'utf8')).replaceAll(`${HOST} `, '').trim().split('\n')
      return { added: added.length, removed: removed.length, known: known.sort() }
    }
    const both = [keys['server'], keys['other']].sort()
    expect(await visitWith('server', 'other')).toEqual({ added: 1, removed: 0, known: both })
    expect(await visitWith('other')).toEqual({ added: 0, removed: 1, known: [keys['other']] })
    await expect(visitWith('server')).rejects.toMatchObject({ code: 'host-key-changed' })
    const last = [keys['other'], keys['rsa']].sort()
    expect(await visitWith('other', 'rsa')).toEqual({ added: 1, removed: 0, known: last })
  })

  async function rotate(file: string, port: number, command: readonly string[]): Promise<void> {
    const [done, tell] = later<unknown>()
    const knownHosts = new Watched({ home: home.path, files: [file], systemFiles: [] })
    const onHostKeys: ConnectOptions['onHostKeys'] = async (offered, prove) => {
      const { current } = knownHosts
      tell(current && updateHostKeys({ knownHosts, host: HOST, port, current, offered, prove }))
    }
    await visit(command, { port, hosts: { knownHosts }, onHostKeys }, done)
  }

  /** Connects as the program does, and stays until something has happened. Nobody can be asked. */
  async function visit(
    [program = '', ...args]: readonly string[],
    options: Partial<ConnectOptions> & Pick<ConnectOptions, 'hosts'>,
    happened: Promise<unknown>,
  ): Promise<void> {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] })
    try {
      const connection = await connect({
        host: HOST,
        user: 'root',
        signers: [await readPrivateKey(await readFile(at('login')))],
        dial: async () => Duplex.from({ readable: child.stdout, writable: child.stdin }),
        ...options,
      })
      const lost = connection.closed.then(error => Promise.reject(error ?? new Error('it is closed already')))
      lost.catch(() => {})
      await Promise.race([happened, lost])
      await connection.close()
    } finally {
      child.kill()
    }
  }

  /** All that the file says, with hidden names in the clear: they can only be the host's. */
  async function namesAndKeys(file: string, port: number): Promise<string[]> {
    const lines = (await readFile(file, 'utf8')).split('\n').filter(line => line !== '')
    return lines.map(line => line.replace(/^\|1\|\S+/, port === 22 ? HOST : `[${HOST}]:${port}`)).sort()
  }
})

/** Something that is told later. */
function later<T>(): [Promise<T>, (value: T | PromiseLike<T>) => void] {
  let tell: (value: T | PromiseLike<T>) => void = () => {}
  const told = new Promise<T>(resolve => {
    tell = resolve
  })
  return [told, tell]
}

/** Remembers the key that was looked up, if the server may change it. */
class Watched extends KnownHosts {
  current: Buffer | undefined

  override async lookup(host: string, port: number, blob: Buffer) {
    const found = await super.lookup(host, port, blob)
    this.current = found.state === 'known' && found.mayRotate ? blob : undefined
    return found
  }
}

async function certify(name: string, ...how: string[]): Promise<string> {
  const copy = at(`cert-${name.replaceAll(/\W+/g, '-')}`)
  await writeFile(`${copy}.pub`, `${keys['server']}\n`)
  await make('-s', at('authority'), '-I', 'test', ...how, `${copy}.pub`)
  return `${copy}-cert.pub`
}
