import { chmod, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { openTunnelWorld, portIn, type TunnelWorld } from './tunnel-cli-fixture.js'
import { opensshOptions } from './world/home.js'
import { peerPath } from './world/peers.js'
import { findFreePort } from './world/port.js'
import { run, runOrThrow } from './world/run.js'

// `keytool tunnel -D`, used by programs that know nothing of us. What the proxy itself does is in test/tunnel-socks.test.ts.

jest.setTimeout(120_000)

let world: TunnelWorld

beforeAll(async () => {
  world = await openTunnelWorld()
})

afterEach(() => world.clear())
afterAll(() => world?.dispose())

async function proxy(...args: string[]): Promise<number> {
  const { status, stdout, stderr } = await world.tunnel(['--background', '-D', '0', ...args, ...world.there])
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return portIn(stdout)
}

test('git clones over ssh through it, with the way in a ProxyCommand', async () => {
  const port = await proxy()
  const there = join(world.user.home, 'project.git')
  const git = (...args: string[]) => runOrThrow(peerPath('git'), args, { env: world.env, cwd: world.home.path })
  const work = join(world.home.path, 'work')
  await git('init', '-q', '-b', 'main', work)
  await writeFile(join(work, 'file'), 'content\n')
  const who = ['-c', 'user.name=t', '-c', 'user.email=t@example.com']
  await git('-C', work, 'add', 'file')
  await git('-C', work, ...who, 'commit', '-q', '-m', 'first')
  await git('clone', '-q', '--bare', work, there)
  await runOrThrow('chown', ['-R', world.user.name, there])

  const script = join(world.home.path, 'ssh')
  const options = [...opensshOptions(world.home), '-i', join(world.home.ssh, 'id_ed25519')].map(word => `'${word}'`)
  const way = `-o 'ProxyCommand=nc -X 5 -x 127.0.0.1:${port} %h %p'`
  await writeFile(script, `#!/bin/sh\nexec ssh ${options.join(' ')} ${way} "$@"\n`)
  await chmod(script, 0o755)
  const env = { ...world.env, GIT_SSH_COMMAND: script }
  const url = `ssh://${world.user.name}@127.0.0.1:${world.sshd.port}${there}`
  expect(await run(peerPath('git'), ['clone', '-q', url, 'clone'], { env, cwd: world.home.path })).toMatchObject({
    status: 0,
  })
  expect(await readFile(join(world.home.path, 'clone', 'file'), 'utf8')).toBe('content\n')
  expect((await world.status())[0]?.forwards).toMatchObject([
    { kind: 'dynamic', to: 'SOCKS', state: 'up', connections: 1 },
  ])
})

test.each(['--socks4', '--socks4a', '--socks5', '--socks5-hostname'])(
  'curl %s fetches; a refused target is said so',
  async flag => {
    const web = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1')
    try {
      const site = await new Promise<number>(resolve =>
        web.once('listening', () => resolve((web.address() as { port: number }).port)),
      )
      const port = await proxy()
      const fetch = (from: number) =>
        run(peerPath('curl'), ['-sS', flag, `127.0.0.1:${port}`, `http://127.0.0.1:${from}/`], { env: world.env })
      expect(await fetch(site)).toMatchObject({ status: 0, stdout: 'hello', stderr: '' })
      // 97: the proxy itself said no.
      expect(await fetch(await findFreePort())).toMatchObject({ status: 97, stdout: '' })
    } finally {
      web.close()
    }
  },
)
