import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { listen } from '../src/index.js'
import { checkHanded, takeHandedSocket } from '../src/platform/handed.js'
import { later, listenAt, makeTemporary } from './support.js'

const ours = { LISTEN_PID: String(process.pid), LISTEN_FDS: '1', LISTEN_FDNAMES: 'agent' }

describe('sd_listen_fds(3)', () => {
  test('a socket for us is the third descriptor, and its variables are gone', () => {
    const env = { ...ours, HOME: '/h' }
    expect(takeHandedSocket(env, process.pid, 'linux')).toBe(3)
    expect(env).toEqual({ HOME: '/h' })
  })

  test.each([
    ['none', {}],
    ['those of our parent', { ...ours, LISTEN_PID: String(process.ppid) }],
    ['a pid that only begins with ours', { ...ours, LISTEN_PID: `${process.pid}0` }],
    ['no pid', { LISTEN_FDS: '1' }],
    ['no number', { LISTEN_PID: ours.LISTEN_PID }],
    ['nothing', { ...ours, LISTEN_FDS: '0' }],
  ])('%s: nothing is taken, and the variables are gone all the same', (_, given) => {
    const env: Record<string, string | undefined> = { ...given }
    expect(takeHandedSocket(env, process.pid, 'linux')).toBeUndefined()
    expect(env).toEqual({})
  })

  test('where no service manager speaks so, nothing is taken', () => {
    expect(takeHandedSocket({ ...ours }, process.pid, 'darwin')).toBeUndefined()
  })

  test.each(['2', '-1', '1x', '', '99999999999', '\u001b[2J'])('%j sockets are refused', count => {
    const env = { ...ours, LISTEN_FDS: count }
    expect(() => takeHandedSocket(env, process.pid, 'linux')).toThrow(
      expect.objectContaining({ code: 'failed', reason: expect.not.stringContaining('\u001b') }),
    )
    expect(env).toEqual({})
  })
})

/** node names no descriptor of a server's; its handle knows it. */
function descriptorOf(server: Server): number {
  return (server as unknown as { _handle: { fd: number } })._handle.fd
}

async function openAt(path: string): Promise<number> {
  const server = createServer()
  await listenAt(server, path)
  later(() => new Promise(resolve => server.close(resolve)))
  return descriptorOf(server)
}

const refused = (reason: RegExp) => ({ code: 'refused', reason: expect.stringMatching(reason) })

describe('what was handed over is looked at', () => {
  test.each(['agent.sock', 'with blanks  in it', 'größer ☃', '%n $x "q"'])(
    'a listening socket at %j passes',
    async name => {
      const path = join(await makeTemporary(), name)
      await checkHanded(await openAt(path), path)
    },
  )

  test('one at another path, a TCP socket, a file and a closed descriptor are refused', async () => {
    const folder = await makeTemporary()
    const path = join(folder, 's')
    const other = await openAt(join(folder, 'other'))
    await expect(checkHanded(other, path)).rejects.toMatchObject(refused(/it listens at .*other/))
    await expect(checkHanded(other, join(folder, 'othe'))).rejects.toMatchObject(refused(/it listens at/))
    const tcp = createServer()
    await new Promise<void>(resolve => tcp.listen(0, '127.0.0.1', resolve))
    later(() => new Promise(resolve => tcp.close(resolve)))
    await expect(checkHanded(descriptorOf(tcp), path)).rejects.toMatchObject(refused(/no Unix socket/))
    await expect(checkHanded(9999, path)).rejects.toMatchObject(refused(/no Unix socket/))
  })

  test.each([
    ['its path is gone', (path: string) => rm(path), /not there any more/],
    ['its path is a file by now', (path: string) => rm(path).then(() => writeFile(path, '')), /not a socket/],
    ['others can connect to it', (path: string) => chmod(path, 0o666), /others can connect/],
    ['others can get into its folder', (path: string) => chmod(join(path, '..'), 0o755), /others can get in/],
  ])('where %s, nothing listens', async (_, spoil, reason) => {
    const folder = join(await makeTemporary(), 'keytool')
    await mkdir(folder, { mode: 0o700 })
    const path = join(folder, 's')
    const handed = await openAt(path)
    await chmod(path, 0o600)
    await spoil(path)
    await expect(listen(createServer(), path, { handed })).rejects.toMatchObject(refused(reason))
    expect((await readdir(folder)).filter(name => name !== 's')).toEqual([])
  })

  test('a failed announcement leaves the socket to whoever handed it over, and nothing else', async () => {
    const folder = join(await makeTemporary(), 'keytool')
    await mkdir(folder, { mode: 0o700 })
    const path = join(folder, 's')
    const handed = await openAt(path)
    await chmod(path, 0o600)
    const announce = async () => {
      throw new Error('no')
    }
    await expect(listen(createServer(), path, { handed, announce })).rejects.toThrow('no')
    expect(await readdir(folder)).toEqual(['s'])
    await checkHanded(handed, path)
  })
})
