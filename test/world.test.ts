import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { fetchMail, sendMail } from '../scripts/demo-world/mail-client.js'
import { waitForEnd } from './agent-fixture.js'
import { leaveDuty } from './world/duty.js'
import { temporaryFolder } from './world/folder.js'
import { type Home, opensshOptions, temporaryHome } from './world/home.js'
import { startMail } from './world/mail.js'
import { findPeer, peerNames, peerPath } from './world/peers.js'
import { logInWithPython, type PythonClient } from './world/python-login.js'
import { run, runOrThrow } from './world/run.js'
import { type SshAgent, startSshAgent } from './world/ssh-agent.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { endGroup, start } from './world/start.js'
import { createUser, type SystemUser } from './world/system-user.js'
import { openTerminal } from './world/terminal.js'

// The fixtures of test/world, proved against the programs they start.

jest.setTimeout(90_000)

test.each(peerNames)('%s is installed', async name => {
  await expect(findPeer(name)).resolves.toMatchObject({ path: expect.stringMatching(/^\//) })
})

describe('programs', () => {
  test('get a clean environment, no input and no terminal', async () => {
    const { stdout } = await run('/usr/bin/env', [])
    expect(stdout.split('\n').map(line => line.split('=')[0])).toEqual(['PATH', 'LANG', 'HOME', 'XDG_RUNTIME_DIR', ''])
    const result = await run('/bin/sh', ['-c', 'cat; true </dev/tty'])
    expect(result).toMatchObject({ stdout: '', stderr: expect.stringContaining('/dev/tty') })
  })

  test('are ended when they take too long', async () => {
    await expect(run('/bin/sh', ['-c', 'echo so far; sleep 60'], { timeoutMs: 2000 })).rejects.toThrow('so far')
  })

  test('are talked to while they run', async () => {
    const cat = await start('/bin/cat', [])
    cat.write('one two\n')
    expect((await cat.waitFor(/one (\w+)/))[1]).toBe('two')
    await expect(cat.waitFor(/three/, 100)).rejects.toThrow('100 ms')
    expect(await cat.stop('SIGINT')).toEqual({ status: null, signal: 'SIGINT' })
    await expect(cat.waitFor(/three/)).rejects.toThrow('SIGINT')
  })

  test('end with the one who started them', async () => {
    const shell = await start('/bin/sh', ['-c', 'sleep 60 & echo "$!"; wait'])
    const [sleeper] = await shell.waitFor(/\d+/)
    expect(await leaveDuty(endGroup, String(shell.pid)).perform()).toBe(0)
    expect(await shell.exit).toEqual({ status: null, signal: 'SIGTERM' })
    await waitForEnd(Number(sleeper))
  })

  test('leave duties that are done', async () => {
    const folder = await temporaryFolder()
    const file = join(folder.path, 'done')
    const duty = leaveDuty('echo "$1" >"$2"', 'swept', file)
    expect(await duty.perform()).toBe(0)
    expect(await readFile(file, 'utf8')).toBe('swept\n')
    await folder.dispose()
  })
})

describe('a terminal', () => {
  test('is typed into, and keeps what is not echoed off the screen', async () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's, not JavaScript's
    const script = 'stty -echo; printf "secret? "; read a; stty echo; echo; echo "got ${#a} [$TMUX]"; tty; exit 3'
    const terminal = await openTerminal(['/bin/sh', '-c', script], { cols: 60, rows: 10 })
    try {
      await terminal.waitFor(/secret\?/)
      await terminal.type('pä ss;word\r')
      await terminal.waitFor(/got 1[01] \[\]/)
      expect(await terminal.exitStatus()).toBe(3)
      expect(await terminal.screen()).toMatch(/\/dev\/pts\//)
      expect(await terminal.transcript()).toContain('secret? ')
      expect(await terminal.transcript()).not.toContain('ss;word')
    } finally {
      await terminal.close()
    }
  })

  test('passes Ctrl-C and Ctrl-D on', async () => {
    const cat = await openTerminal(['/bin/cat'])
    await cat.type('twice\r')
    await cat.waitFor(/twice\s+twice/)
    await cat.type('\x04')
    expect(await cat.exitStatus()).toBe(0)
    await cat.close()
    const sleeper = await openTerminal(['/bin/sh', '-c', 'echo ready; exec sleep 60'])
    await sleeper.waitFor(/ready/)
    await sleeper.type('\x03')
    expect(await sleeper.exitStatus()).toBe(130)
    await sleeper.close()
  })
})

describe('a real sshd', () => {
  let home: Home
  let user: SystemUser
  let sshd: Sshd
  let agent: SshAgent

  beforeAll(async () => {
    home = await temporaryHome()
    user = await createUser()
    agent = await startSshAgent(home)
    const key = join(home.path, 'key')
    await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    await runOrThrow(peerPath('ssh-add'), ['-q', key], { env: agent.env })
    sshd = await startSshd({ users: [user], authorizedKeys: [await readFile(`${key}.pub`, 'utf8')] })
  })

  afterAll(async () => {
    await sshd.stop()
    await agent.stop()
    await user.dispose()
    await home.dispose()
    expect(await readFile('/etc/passwd', 'utf8')).not.toContain(user.name)
  })

  test('lets ssh in with a key from ssh-agent', async () => {
    const options = [...opensshOptions(home), '-o', 'StrictHostKeyChecking=accept-new', '-p', String(sshd.port)]
    const args = [...options, `${user.name}@${sshd.host}`, 'echo "$USER" "$HOME"; exit 4']
    const { stdout, status } = await run(peerPath('ssh'), args, { env: agent.env })
    expect({ stdout, status }).toEqual({ stdout: `${user.name} ${user.home}\n`, status: 4 })
    await sshd.waitForLog(new RegExp(`Accepted publickey for ${user.name}`))
    const known = await readFile(join(home.ssh, 'known_hosts'), 'utf8')
    expect(sshd.knownHosts).toContain(known.trim().split('\n')[0])
  })

  test('lets a password in, typed at a terminal', async () => {
    const options = opensshOptions(home).map(option => option.replace('BatchMode=yes', 'BatchMode=no'))
    const ask = ['-o', 'StrictHostKeyChecking=no', '-o', 'PubkeyAuthentication=no', '-p', String(sshd.port)]
    const command = [peerPath('ssh'), ...options, ...ask, `${user.name}@${sshd.host}`, 'echo "in as" $(whoami)']
    const terminal = await openTerminal(command, { env: home.env })
    try {
      await terminal.waitFor(/password:/)
      await terminal.type(`${user.password}\r`)
      await terminal.waitFor(new RegExp(`in as ${user.name}`))
      expect(await terminal.exitStatus()).toBe(0)
      expect(await terminal.transcript()).not.toContain(user.password)
    } finally {
      await terminal.close()
    }
  })

  test.each<PythonClient>(['paramiko', 'asyncssh'])(
    'lets %s in with a key from ssh-agent, and no other host',
    async client => {
      const hostKey =
        sshd.knownHosts
          .split('\n')
          .find(line => line.includes('ed25519'))
          ?.replace(/^\S+ /, '') ?? ''
      const target = { host: sshd.host, port: sshd.port, user: user.name, command: 'whoami; exit 5' }
      const good = await logInWithPython(client, { ...target, hostKey }, agent.env)
      expect(good).toMatchObject({ stdout: `${user.name}\n`, status: 5 })
      const other = (await runOrThrow(peerPath('ssh-add'), ['-L'], { env: agent.env })).stdout
      const bad = await logInWithPython(
        client,
        { ...target, hostKey: other.split(' ').slice(0, 2).join(' ') },
        agent.env,
      )
      expect(bad).toMatchObject({ stdout: '', status: 1, stderr: expect.stringMatching(/host key/i) })
    },
  )

  test('drops its connections on request', async () => {
    const options = [...opensshOptions(home), '-o', 'StrictHostKeyChecking=no', '-p', String(sshd.port)]
    const args = [...options, `${user.name}@${sshd.host}`, 'echo up; sleep 60']
    const ssh = await start(peerPath('ssh'), args, { env: agent.env })
    await ssh.waitFor(/up/)
    await sshd.dropConnections()
    expect(await ssh.exit).toEqual({ status: 255, signal: null })
  })
})

test('mail sent by SMTP to OpenSMTPD is fetched by POP3 from Dovecot', async () => {
  const mail = await startMail({ name: 'hana', password: 'not a secret' })
  try {
    const message = {
      from: 'ken@shop.example',
      to: 'hana@mail.example',
      subject: 'Order 7',
      text: 'one\n.two\n..three',
    }
    expect(await sendMail(mail.smtpPort, message)).toMatch(/^250 /)
    let mails: string[] = []
    for (let tries = 0; mails.length === 0 && tries < 300; tries++) {
      mails = await fetchMail(mail.pop3Port, mail.user, mail.password)
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    expect(mails).toHaveLength(1)
    expect(mails[0]).toMatch(
      /^Received: from localhost .*\r\n\tby mail\.example \(OpenSMTPD\)[\s\S]*^Subject: Order 7\r$/m,
    )
    expect(mails[0]).toMatch(/\r\none\r\n\.two\r\n\.\.three/)
    await expect(fetchMail(mail.pop3Port, mail.user, 'wrong')).rejects.toThrow(/failed|AUTH/)
  } finally {
    await mail.stop()
  }
})
