import { generateKeyPairSync, sign } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { probe } from '../src/probe/probe.js'
import { systemClock } from '../src/supervisor/clock.js'

const open = new Set<Socket>()
let server: Server | undefined

afterEach(() => {
  for (const socket of open) socket.destroy()
  open.clear()
  server?.close()
})

/** One element of DER. */
function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 255]
  return Buffer.concat([Buffer.from([tag, ...length]), body])
}

/** The smallest certificate there is (RFC 5280 section 4.1, version 1): nobody's, long expired. */
function certify(): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ecdsaWithSha256 = der(0x30, der(0x06, Buffer.from('2a8648ce3d040302', 'hex')))
  const time = der(0x17, Buffer.from('200101000000Z'))
  const nobody = der(0x30)
  const spki = publicKey.export({ format: 'der', type: 'spki' })
  const serial = der(0x02, Buffer.from([1]))
  const facts = der(0x30, serial, ecdsaWithSha256, nobody, der(0x30, time, time), nobody, spki)
  const signature = der(0x03, Buffer.from([0]), sign('sha256', facts, privateKey))
  const body = der(0x30, facts, ecdsaWithSha256, signature).toString('base64')
  return {
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`,
  }
}

async function look(made: Server, host = 'mail.example') {
  server = made.listen(0, '127.0.0.1')
  server.on('connection', (socket: Socket) => open.add(socket.on('error', () => {})))
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const dial = async () => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    await once(socket, 'connect')
    return socket
  }
  return probe({ kind: 'imaps', open: dial, host, clock: systemClock })
}

function serveTls(options: TlsOptions, names: unknown[], heard: string[]): Server {
  const made = createTlsServer({ ...certify(), ...options }, socket => {
    names.push(socket.servername)
    socket.on('error', () => {}).setEncoding('latin1')
    socket.on('data', (text: string) => {
      heard.push(text)
      socket.end('* BYE\r\n')
    })
    socket.write('* OK ready\r\n')
  })
  return made.on('tlsClientError', () => {})
}

test.each([
  ['mail.example', 'mail.example'],
  ['192.0.2.1', false],
  ['2001:db8::1', false],
])('alive: greeted inside, named as %s, left politely', async (host, name) => {
  const [names, heard]: [unknown[], string[]] = [[], []]
  expect(await look(serveTls({}, names, heard), host)).toBe('* OK ready')
  expect(heard).toEqual(['k LOGOUT\r\n'])
  expect(names).toEqual([name])
})

test('alive: one that speaks TLS, though not with us', async () => {
  const only = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' } as const
  expect(await look(serveTls(only, [], []))).toBeUndefined()
})

test('dead: one that does not speak TLS', async () => {
  const plain = createServer(socket => socket.write('* OK ready, without TLS\r\n'))
  await expect(look(plain)).rejects.toMatchObject({ code: 'damaged', message: 'it does not speak TLS' })
})

test('dead: one that hangs up', async () => {
  const hangingUp = createServer(socket => socket.once('data', () => socket.end()))
  await expect(look(hangingUp)).rejects.toMatchObject({ code: 'unreachable' })
})
