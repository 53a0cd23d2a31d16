import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { Outlet } from '../src/connection/packets/outlet.js'
import { type PacketProtocol, takePackets } from '../src/connection/packets/take-over.js'
import { collect } from './packets-fake.js'

// How packets get to the socket.

const later = () => new Promise(resolve => setImmediate(resolve))

function send(outlet: Outlet, bytes: Buffer): void {
  const place = outlet.reserve(bytes.length)
  bytes.copy(place)
  outlet.send(place)
}

test('what is said in one go is one write; more than that does not wait for its end', async () => {
  const pipe = collect()
  const outlet = new Outlet(pipe.stream)
  for (let i = 0; i < 10; i++) send(outlet, Buffer.alloc(1000, i))
  expect(pipe.writes.length).toBe(0)
  await later()
  expect(pipe.writes.map(({ length }) => length)).toEqual([10_000])
  for (let i = 0; i < 8; i++) send(outlet, Buffer.alloc(40_000, i))
  expect(pipe.writes.length).toBeGreaterThan(1)
  await later()
  expect(Buffer.concat(pipe.writes).length).toBe(330_000)
})

test('memory is not used again before it is written, however long that takes', async () => {
  const pipe = collect(true)
  const outlet = new Outlet(pipe.stream)
  const sent: Buffer[] = []
  for (let round = 0; round < 200; round++) {
    for (let i = 0; i < 3; i++) {
      const bytes = randomBytes(1 + ((round * 7919 + i * 104_729) % 60_000))
      sent.push(bytes)
      send(outlet, bytes)
    }
    await later()
    // At times it keeps up, at times it is some blocks behind.
    if (round % 20 > 8) for (let i = 0; i < 4; i++) await later().then(pipe.accept)
  }
  for (let i = 0; i < 1000; i++) await later().then(pipe.accept)
  expect(Buffer.concat(pipe.writes).equals(Buffer.concat(sent))).toBe(true)
})

test('what is larger than its memory goes by itself', async () => {
  const pipe = collect()
  const outlet = new Outlet(pipe.stream)
  const [large, small] = [randomBytes(300_000), randomBytes(10)]
  send(outlet, small)
  send(outlet, large)
  send(outlet, small)
  expect((await pipe.bytes()).equals(Buffer.concat([small, large, small]))).toBe(true)
})

test('an end that follows at once follows all that was said', async () => {
  const pipe = collect()
  send(new Outlet(pipe.stream), Buffer.from('goodbye'))
  pipe.stream.end()
  expect((await pipe.bytes()).toString()).toBe('goodbye')
})

test('nothing is written to a stream that is closed', async () => {
  const pipe = collect()
  const outlet = new Outlet(pipe.stream)
  pipe.stream.destroy()
  send(outlet, Buffer.from('?'))
  expect((await pipe.bytes()).length).toBe(0)
})

test('ciphers that are none of ours stay, and their pieces are written together', async () => {
  const pipe = collect()
  const protocol: PacketProtocol = {
    _cipher: undefined,
    _decipher: undefined,
    _onWrite: data => void (pipe.stream as Duplex).write(data),
  }
  takePackets(protocol, pipe.stream)
  const [cipher, decipher] = [{ outSeqno: 3 }, { inSeqno: 4 }]
  Object.assign(protocol, { _cipher: cipher, _decipher: decipher })
  expect(protocol._cipher).toBe(cipher)
  expect(protocol._decipher).toBe(decipher)
  for (const piece of ['length', 'body', 'mac']) protocol._onWrite(Buffer.from(piece))
  await later()
  expect(pipe.writes.map(String)).toEqual(['lengthbodymac'])
})
