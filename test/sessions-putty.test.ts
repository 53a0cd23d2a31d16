import { spawn } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { jest } from '@jest/globals'
import { runIn, succeed } from './cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { findFreePort, waitForPort } from './world/port.js'
import { type RunResult, run, runOrThrow } from './world/run.js'
import { startSshAgent } from './world/ssh-agent.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

// Sessions and host keys between us and the real PuTTY: it reads what we export, we read what it keeps.

jest.setTimeout(120_000)

let home: Home
let user: SystemUser
let sshd: Sshd
let key: string

beforeAll(async () => {
  home = await temporaryHome()
  user = await createUser()
  key = join(home.path, 'key.ppk')
  await writeFile(join(home.path, 'empty'), '')
  await runOrThrow(
    peerPath('puttygen'),
    ['-t', 'ed25519', '-o', key, '--new-passphrase', join(home.path, 'empty')],
    home,
  )
  const { stdout } = await runOrThrow(peerPath('puttygen'), [key, '-O', 'public-openssh'], home)
  sshd = await startSshd({ users: [user], authorizedKeys: [stdout] })
  await mkdir(join(home.path, '.putty/sessions'), { recursive: true })
})
afterAll(async () => {
  await sshd.stop()
  await user.dispose()
  await home.dispose()
})

const putty = (...parts: string[]) => join(home.path, '.putty', ...parts)
/** Runs plink with a session of its own folder; it asks about an unknown host key once, and is told yes. */
const plink = (name: string, command: string, env = home.env): Promise<RunResult> =>
  run(peerPath('plink'), ['-v', '-load', name, command], { env, input: 'y\n' })

async function exportToPutty(name: string, save: readonly string[], more = ''): Promise<void> {
  await runIn(home, ['session', 'save', name, ...save, '--force'])
  const path = putty('sessions', name)
  await succeed(home, ['session', 'export', name, '--format', 'putty', '-o', path, '--force'])
  await writeFile(path, `${await readFile(path, 'utf8')}${more}`)
}

test('plink logs in with a session of ours: host, port, user, key, agent, and every forward', async () => {
  const [local, bound, dynamic, remote] = await Promise.all([1, 2, 3, 4].map(() => findFreePort()))
  const to = ['-p', String(sshd.port), '-l', user.name, '-i', key, '-A']
  const forwards = [
    ['-L', `${local}:localhost:110`],
    ['-L', `[::1]:${bound}:[::1]:111`],
    ['-D', `127.0.0.1:${dynamic}`],
    ['-R', `${remote}:localhost:80`],
  ].flat()
  await exportToPutty('whole', [
    sshd.host,
    ...to,
    ...forwards,
    '--charset',
    'koi8-r',
    '--host-key-alias',
    'real.example',
  ])
  const { status, stdout, stderr } = await plink('whole', 'echo in')
  expect({ status, stdout, stderr }).toMatchObject({ status: 0, stdout: 'in\n' })
  for (const line of [
    `Connecting to 127.0.0.1 port ${sshd.port}`,
    `Reading key file "${key}"`,
    `Using username "${user.name}"`,
    `Local port ${local} forwarding to localhost:110`,
    `Local port ::1:${bound} forwarding to [::1]:111`,
    `Local port 127.0.0.1:${dynamic} SOCKS dynamic forwarding`,
    `Requesting remote port ${remote} forward to localhost:80`,
  ]) {
    expect(stderr).toContain(line)
  }
  // It keeps the key under the name we gave for it.
  expect(await readFile(putty('sshhostkeys'), 'utf8')).toMatch(/^[\w-]+@22:real\.example 0x/m)
})

test('plink reaches the server by our command, and through our jump host', async () => {
  const to = [sshd.host, '-p', String(sshd.port), '-l', user.name, '-i', key]
  const relay = join(home.path, 'relay.mjs')
  await writeFile(
    relay,
    `import { connect } from 'node:net'
const [host, port] = process.argv.slice(2)
const socket = connect(Number(port), host)
process.stdin.pipe(socket).pipe(process.stdout)
`,
  )
  // It goes straight to this machine unless it is told otherwise.
  const evenHere = 'ProxyLocalhost=1\n'
  await exportToPutty('by-command', [...to, '--proxy-command', `${process.execPath} ${relay} %h %p`], evenHere)
  const found = await plink('by-command', 'echo by command')
  expect(found).toMatchObject({ status: 0, stdout: 'by command\n' })
  expect(found.stderr).toContain(`${relay} 127.0.0.1 ${sshd.port}`)

  await exportToPutty('by-jump', [...to, '-J', `${user.name}@127.0.0.1:${sshd.port}`], evenHere)
  // PuTTY logs in on the way with what the agent holds.
  const agent = await startSshAgent(home)
  try {
    const open = join(home.path, 'openssh')
    await runOrThrow(peerPath('puttygen'), [key, '-O', 'private-openssh-new', '-o', open], home)
    await runOrThrow(peerPath('ssh-add'), ['-q', open], agent)
    const jumped = await plink('by-jump', 'echo by jump', agent.env)
    expect(jumped).toMatchObject({ status: 0, stdout: 'by jump\n' })
    expect(jumped.stderr).toContain(`proxy: Connecting to 127.0.0.1 port ${sshd.port}`)
  } finally {
    await agent.stop()
  }
})

test("PuTTY's proxies are nc's: SOCKS 4 and 5 through ssh -D, HTTP", async () => {
  const open = join(home.path, 'proxy-key')
  await runOrThrow(peerPath('puttygen'), [key, '-O', 'private-openssh-new', '-o', open], home)
  const [socks, web] = await Promise.all([findFreePort(), findFreePort()])
  const ssh = ['-N', '-F', 'none', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-i', open]
  const to = ['-D', `127.0.0.1:${socks}`, '-p', String(sshd.port), `${user.name}@${sshd.host}`]
  const proxy = spawn(peerPath('ssh'), [...ssh, ...to], { env: home.env, stdio: 'ignore' })
  const http = createServer().on('connect', (request, near: Socket) => {
    const [host, port] = (request.url ?? '').split(':')
    const far = connect(Number(port), host, () => near.write('HTTP/1.0 200 OK\r\n\r\n'))
    for (const end of [near, far]) end.on('error', () => {})
    near.pipe(far).pipe(near)
  })
  try {
    http.listen(web, '127.0.0.1')
    await Promise.all([socks, web].map(port => waitForPort(port)))
    for (const [method, port] of [
      [1, socks],
      [2, socks],
      [3, web],
    ]) {
      const values = `HostName=x\nProxyMethod=${method}\nProxyHost=127.0.0.1\nProxyPort=${port}\n`
      await writeFile(join(home.path, `proxy-${method}`), values)
      await runIn(home, ['session', 'import', `proxy-${method}`])
      const saved = JSON.parse(await succeed(home, ['session', 'show', `proxy-${method}`, '--json']))
      const command = saved.proxyCommand.replace('%h', sshd.host).replace('%p', sshd.port)
      expect((await run('/bin/sh', ['-c', `echo | ${command}`], { env: home.env })).stdout).toMatch(/^SSH-2\.0-OpenSSH/)
    }
  } finally {
    proxy.kill()
    http.close()
  }
})

test('host keys that plink keeps become the lines of ssh-keyscan, and sessions come back as they were', async () => {
  const to = [sshd.host, '-p', String(sshd.port), '-l', user.name, '-i', key]
  for (const kind of ['ed25519', 'ecdsa', 'rsa']) {
    // Kinds that are not named would come first.
    const order = [...new Set([kind, 'ed25519', 'ecdsa', 'rsa', 'ed448', 'dsa', 'WARN'])].join(',')
    await exportToPutty(`by-${kind}`, to, `HostKey=${order}\nPreferKnownHostKeys=0\n`)
    expect(await plink(`by-${kind}`, 'true')).toMatchObject({ status: 0 })
  }
  const { stdout: scanned } = await runOrThrow(
    join(dirname(peerPath('ssh')), 'ssh-keyscan'),
    ['-T', '20', '-p', String(sshd.port), sshd.host],
    home,
  )
  const lines = (text: string) =>
    text
      .split('\n')
      .filter(line => line.startsWith('[127.0.0.1]'))
      .sort()
  const { sessions, hostKeys } = JSON.parse((await runIn(home, ['session', 'import', '--json'])).stdout)
  const known = join(home.ssh, 'known_hosts')
  expect(lines(await readFile(known, 'utf8'))).toEqual(lines(scanned))
  expect(lines(scanned)).toHaveLength(3)
  for (const { state, name } of sessions) expect([name, state]).toEqual([name, 'same'])
  expect(hostKeys.map(({ state }: { state: string }) => state)).toEqual(hostKeys.map(() => 'new'))

  // Twice changes nothing; ssh itself believes the lines.
  const before = await readFile(known, 'utf8')
  const again = JSON.parse((await runIn(home, ['session', 'import', '--json'])).stdout)
  expect(again.hostKeys.map(({ state }: { state: string }) => state)).toEqual(hostKeys.map(() => 'known'))
  expect(await readFile(known, 'utf8')).toBe(before)
  const found = await run(peerPath('ssh-keygen'), ['-F', `[127.0.0.1]:${sshd.port}`, '-f', known])
  expect(found.status).toBe(0)
})
