import { writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { generate, PublicKey } from '@keytool/keygen'
import { type AgentClient, connectAgent, createLock, createRing, encodeMessage, replies, serve } from '../src/index.js'
import { frame, later, leaveStaleSocket, listenAt, makeTemporary, string, u32 } from './support.js'

async function connectTo(handler: (socket: Socket) => void, timeout?: number): Promise<AgentClient> {
  const path = join(await makeTemporary(), 's')
  const server = createServer({ allowHalfOpen: true })
  const sockets: Socket[] = []
  server.on('connection', socket => {
    socket.on('error', () => undefined)
    sockets.push(socket)
    handler(socket)
  })
  await listenAt(server, path)
  later(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise(resolve => server.close(resolve))
  })
  const client = await connectAgent(path, timeout ? { timeout } : {})
  later(() => client.close())
  return client
}

/** A client of a real ring. */
async function connectToRing(): Promise<AgentClient> {
  const path = join(await makeTemporary(), 's')
  const server = createServer({ allowHalfOpen: true })
  const service = serve(createRing({ lock: createLock({ sleep: async () => undefined }) }), server)
  await listenAt(server, path)
  later(() => {
    service.close()
    return new Promise(resolve => server.close(resolve))
  })
  const client = await connectAgent(path)
  later(() => client.close())
  return client
}

/** An agent that answers everything with these bytes. */
function answering(...bytes: Uint8Array[]): (socket: Socket) => void {
  return socket => socket.on('data', () => socket.write(Buffer.concat(bytes)))
}

test('every method, against a ring', async () => {
  const client = await connectToRing()
  const key = await generate('ed25519', { comment: 'mine' })
  const blob = key.publicKey.blob
  await client.add(key)
  expect(await client.list()).toEqual([{ blob, comment: 'mine' }])
  const signature = await client.sign(blob, Buffer.from('d'), 0)
  expect(await PublicKey.fromBlob(blob).verify(Buffer.from('d'), signature)).toBe(true)
  await client.lock(Buffer.from('p'))
  expect(await client.list()).toEqual([])
  await expect(client.unlock(Buffer.from('q'))).rejects.toMatchObject({ code: 'refused' })
  await client.unlock(Buffer.from('p'))
  await client.remove(blob)
  await expect(client.remove(blob)).rejects.toMatchObject({ code: 'refused', hint: expect.stringContaining('keytool') })
  await client.removeAll()
})

test('a key that was handed over is wiped here', async () => {
  const client = await connectToRing()
  const key = await generate('ecdsa-256')
  await client.add(key)
  expect(Object.values(key.parts).every(part => part.every(byte => byte === 0))).toBe(true)
})

test('many requests at once, each gets its own answer', async () => {
  const client = await connectToRing()
  const [rsa, ed25519] = [await generate('rsa', { bits: 2048 }), await generate('ed25519')]
  const keys = [rsa, ed25519].map(({ publicKey }) => PublicKey.fromBlob(publicKey.blob))
  await client.add(rsa)
  await client.add(ed25519)
  const rounds = Array.from({ length: 100 }, (_, i) => Buffer.from(`${i}`))
  const found = await Promise.all(
    rounds.map(async (data, i) => {
      const key = keys[i % 2]
      return key?.verify(data, await client.sign(key.blob, data, 4))
    }),
  )
  expect(found.every(right => right === true)).toBe(true)
})

test('signers sign with the hash that is asked for, and with the best one otherwise', async () => {
  const client = await connectToRing()
  await client.add(await generate('rsa', { bits: 2048, comment: 'r' }))
  await client.add(await generate('ecdsa-521'))
  const [rsa, ecdsa] = await client.signers()
  if (!rsa || !ecdsa) throw new Error('no signers')
  expect(rsa.publicKey.comment).toBe('r')
  const data = Buffer.from('data')
  const schemes = await Promise.all(
    [{}, { hash: 'sha512' as const }, { hash: 'sha256' as const }, { hash: 'sha1' as const }].map(async options => {
      const signature = await rsa.sign(data, options)
      expect(await rsa.publicKey.verify(data, signature)).toBe(true)
      return signature.scheme
    }),
  )
  expect(schemes).toEqual(['rsa-sha2-512', 'rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'])
  expect(await ecdsa.publicKey.verify(data, await ecdsa.sign(data))).toBe(true)
})

test('identities of unknown types are listed but are no signers', async () => {
  const blob = (await generate('ed25519')).publicKey.blob
  const odd = string('ssh-ed25519-cert-v01@openssh.com')
  const identities = [
    { blob: odd, comment: 'certificate' },
    { blob, comment: 'known' },
    { blob: Buffer.of(1), comment: 'rubbish' },
  ]
  const client = await connectTo(answering(encodeMessage(replies.identities, { identities })))
  expect(await client.list()).toEqual(identities)
  expect((await client.signers()).map(({ publicKey }) => publicKey.comment)).toEqual(['known'])
})

test('nobody there: unreachable, naming the socket and what to do', async () => {
  const folder = await makeTemporary()
  const [missing, stale, file] = ['missing', 'stale', 'file'].map(name => join(folder, name)) as [
    string,
    string,
    string,
  ]
  await leaveStaleSocket(stale)
  await writeFile(file, '')
  for (const path of [missing, stale, file]) {
    await expect(connectAgent(path)).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining(path),
      reason: expect.any(String),
      hint: 'keytool agent',
    })
  }
})

test.each([
  ['another number', frame(14, string(Buffer.concat([string('x'), string('y')])))],
  ['fields that lie', frame(12, u32(3))],
  ['trailing bytes', frame(12, u32(0), Buffer.of(0))],
])('%s: damaged, and the connection goes on', async (_name, bytes) => {
  let rounds = 0
  const client = await connectTo(socket =>
    socket.on('data', () =>
      socket.write(rounds++ === 0 ? bytes : encodeMessage(replies.identities, { identities: [] })),
    ),
  )
  await expect(client.list()).rejects.toMatchObject({ code: 'damaged' })
  expect(await client.list()).toEqual([])
})

test.each([5, 28])('an answer of %d is a refusal', async number => {
  const client = await connectTo(answering(frame(number)))
  await expect(client.sign(Buffer.alloc(0), Buffer.alloc(0), 0)).rejects.toMatchObject({ code: 'refused' })
})

test.each([
  ['more than an agent may say', u32(256 * 1024 + 1)],
  ['nothing', u32(0)],
  ['what nobody asked for', Buffer.concat([frame(5), frame(5)])],
])('%s: damaged, and the connection is closed', async (_name, bytes) => {
  const client = await connectTo(answering(bytes))
  const asked = [client.list(), client.list()]
  await expect(Promise.allSettled(asked)).resolves.toHaveLength(2)
  await expect(client.list()).rejects.toMatchObject({ code: expect.stringMatching(/damaged|refused/) })
  await expect(client.list()).rejects.toMatchObject({ code: 'damaged' })
})

test('an agent that hangs up leaves nobody waiting', async () => {
  const client = await connectTo(socket => socket.on('data', () => socket.destroy()))
  const asked = await Promise.allSettled([client.list(), client.list(), client.list()])
  for (const each of asked) expect(each).toMatchObject({ status: 'rejected', reason: { code: 'unreachable' } })
  await expect(client.list()).rejects.toMatchObject({ code: 'unreachable' })
})

test('an agent that says nothing is given up after the timeout; one that is only slow between requests is not', async () => {
  let answer = true
  const client = await connectTo(
    socket => socket.on('data', () => answer && socket.write(encodeMessage(replies.identities, { identities: [] }))),
    800,
  )
  await client.list()
  await new Promise(resolve => setTimeout(resolve, 900))
  await client.list()
  answer = false
  await expect(client.list()).rejects.toMatchObject({ code: 'unreachable', reason: 'no answer in 800 ms' })
})

test('closing rejects what is under way', async () => {
  const client = await connectTo(() => undefined)
  const asked = client.list()
  client.close()
  await expect(asked).rejects.toMatchObject({ code: 'unreachable' })
})

test('a request too long for any agent is not sent', async () => {
  const client = await connectToRing()
  await expect(client.sign(Buffer.alloc(0), Buffer.alloc(256 * 1024), 0)).rejects.toMatchObject({ code: 'failed' })
  expect(await client.list()).toEqual([])
})
