import { chmod, mkdir, readdir, rename, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { checkPlace, encodeMessage, findAgent, listen, replies, runAgent } from '../src/index.js'
import { giveAway, later, leaveStaleSocket, listenAt, makeTemporary } from './support.js'

const refused = (text: RegExp) => ({ code: 'refused', reason: expect.stringMatching(text) })

/** What answers as an agent does, and counts who came: the keys of whoever believes it would be its own. */
async function startFake(path: string): Promise<() => number> {
  let came = 0
  const fake = createServer(peer => {
    came++
    peer.on('data', () => peer.write(encodeMessage(replies.identities, { identities: [] })))
  })
  await listenAt(fake, path)
  later(() => new Promise(resolve => fake.close(resolve)))
  return () => came
}

test.each([false, true])("another user's socket is refused before anything connects to it (named: %s)", async named => {
  const folder = await makeTemporary()
  if (named) await chmod(folder, 0o1777)
  const path = join(folder, 's')
  const came = await startFake(path)
  await giveAway(path)
  await expect(findAgent(path, undefined, { named })).rejects.toMatchObject(refused(/another user/))
  await expect(checkPlace(path, { named })).rejects.toMatchObject(refused(/another user/))
  expect(came()).toBe(0)
})

test("another user's folder is refused, whatever is in it", async () => {
  const folder = join(await makeTemporary(), 'keytool')
  await mkdir(folder, { mode: 0o700 })
  const came = await startFake(join(folder, 's'))
  await giveAway(folder)
  for (const named of [false, true]) {
    await expect(findAgent(join(folder, 's'), undefined, { named })).rejects.toMatchObject(refused(/another user/))
  }
  expect(came()).toBe(0)
})

test('links are not followed, to the folder or to the socket', async () => {
  const folder = await makeTemporary()
  await mkdir(join(folder, 'real'), { mode: 0o700 })
  const came = await startFake(join(folder, 'real', 's'))
  await symlink('real', join(folder, 'link'))
  await symlink('s', join(folder, 'real', 'other'))
  await expect(findAgent(join(folder, 'link', 's'))).rejects.toMatchObject(refused(/a link/))
  await expect(findAgent(join(folder, 'real', 'other'))).rejects.toMatchObject(refused(/a link/))
  expect(came()).toBe(0)
})

test('a folder that others can get into is refused, unless the user named it and they can change nothing in it', async () => {
  const folder = await makeTemporary()
  const path = join(folder, 's')
  await startFake(path)
  const found = { socket: path, pid: undefined, since: undefined }
  await chmod(folder, 0o755)
  await expect(findAgent(path)).rejects.toMatchObject(refused(/others can get in/))
  expect(await findAgent(path, undefined, { named: true })).toEqual(found)
  await chmod(folder, 0o1777)
  expect(await findAgent(path, undefined, { named: true })).toEqual(found)
  await chmod(folder, 0o777)
  await expect(findAgent(path, undefined, { named: true })).rejects.toMatchObject(refused(/others can get in/))
})

test('what is not there is no danger; what is no socket is refused', async () => {
  const folder = await makeTemporary()
  await checkPlace(join(folder, 'nowhere', 's'))
  await checkPlace(join(folder, 's'))
  expect(await findAgent(join(folder, 's'))).toBeUndefined()
  await writeFile(join(folder, 'file'), '')
  await expect(checkPlace(join(folder, 'file'))).rejects.toMatchObject(refused(/not a socket/))
  await expect(checkPlace(join(folder, 'file', 's'))).rejects.toMatchObject(refused(/not a folder/))
  await rename(join(folder, 'file'), join(folder, 's'))
  await expect(findAgent(join(folder, 's'))).rejects.toMatchObject(refused(/not a socket/))
})

test('a pipe has no folder to look at', async () => {
  await checkPlace('\\\\.\\pipe\\openssh-ssh-agent', {}, 'win32')
})

test('where nothing is, nobody is connected to: who comes next may be another', async () => {
  const folder = await makeTemporary()
  expect(await checkPlace(join(folder, 's'))).toBe(false)
  await leaveStaleSocket(join(folder, 's'))
  expect(await checkPlace(join(folder, 's'))).toBe(true)
})

test('what our folder lies in has to be ours or root’s, and closed to everybody else', async () => {
  const outer = await makeTemporary()
  const path = join(outer, 'keytool', 'agent.sock')
  expect(await checkPlace(path)).toBe(false)
  await chmod(outer, 0o777)
  await expect(checkPlace(path)).rejects.toMatchObject(refused(/everybody can change/))
  await chmod(outer, 0o1777)
  expect(await checkPlace(path)).toBe(false)
  await chmod(outer, 0o775)
  expect(await checkPlace(path)).toBe(false)
})

test('root with a user’s environment makes nothing in that user’s places', async () => {
  const outer = await makeTemporary()
  await giveAway(outer)
  const path = join(outer, 'keytool', 'agent.sock')
  await expect(checkPlace(path)).rejects.toMatchObject(refused(/belongs to another user/))
  const server = createServer()
  await expect(listen(server, path)).rejects.toMatchObject({ code: 'refused' })
  expect(await readdir(outer)).toEqual([])
})

test('an empty pid file of ours, as a crash leaves it, is in nobody’s way', async () => {
  const folder = await makeTemporary()
  await writeFile(join(folder, 'agent.pid'), '')
  const agent = await runAgent({ socket: join(folder, 'agent.sock') })
  await agent.stop()
  expect(await readdir(folder)).toEqual([])
})
