import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { type SuspendOptions, watchSuspend } from '../src/platform/suspend.js'
import { later, listenAt, makeTemporary, until } from './support.js'

// What a real bus tells is tested in test/agent-suspend.test.ts.

async function watch(options: Partial<SuspendOptions>) {
  const nothing = () => undefined
  const watching = await watchSuspend(
    {
      onSuspend: nothing,
      onScreenLock: nothing,
      env: {},
      systemSocket: '/nowhere/bus',
      timeout: 1000,
      retry: 20,
      ...options,
    },
    'linux',
  )
  later(() => watching.close())
  return watching
}

describe('a bus that is none', () => {
  const GREETING = 'OK 0123\r\n'

  /** Answers the greeting, and then everything with these bytes. */
  async function serveBytes(...answers: (string | Buffer)[]) {
    const path = join(await makeTemporary(), 'bus')
    const sockets: Socket[] = []
    const server: Server = createServer(socket => {
      sockets.push(socket)
      const left = [...answers]
      socket.on('error', () => undefined)
      socket.on('data', () => {
        const answer = left.shift()
        if (answer !== undefined) socket.write(answer)
      })
    })
    await listenAt(server, path)
    later(() => {
      for (const socket of sockets) socket.destroy()
      return new Promise(resolve => server.close(resolve))
    })
    return { address: `unix:path=${path},guid=00`, sockets }
  }

  function header(fields: number, body: number): Buffer {
    const bytes = Buffer.alloc(16)
    bytes.write('l\x04\x00\x01')
    bytes.writeUInt32LE(body, 4)
    bytes.writeUInt32LE(1, 8)
    bytes.writeUInt32LE(fields, 12)
    return bytes
  }

  test.each<[string, (string | Buffer)[]]>([
    ['it never answers', []],
    ['it refuses us', ['REJECTED EXTERNAL\r\n']],
    ['a line without end', ['x'.repeat(5000)]],
    ['a greeting, and nothing', [GREETING]],
    ['noise', [GREETING, Buffer.alloc(100, 0xff)]],
    ['fields of nonsense', [GREETING, Buffer.concat([header(64, 0), Buffer.alloc(64, 0xfe)])]],
    ['a message of gigabytes', [GREETING, header(0, 0xffffffff)]],
    ['a large message without end', [GREETING, header(0, 1 << 24)]],
  ])('%s: trouble within the time limit', async (_, answers) => {
    const { address } = await serveBytes(...answers)
    // Without one it would wait for ever.
    const watching = await watch({ env: { DBUS_SYSTEM_BUS_ADDRESS: address }, timeout: 300, retry: 10_000 })
    expect(watching.trouble).toContain("the system bus can't be heard")
  })

  test.each([
    ['no address', ''],
    ['another kind', 'tcp:host=127.0.0.1,port=1'],
    ['nonsense', 'unix:path=%zz'],
    ['nobody there', 'unix:path=/nowhere/bus;unix:abstract=keytool-nobody'],
  ])('%s', async (_, address) => {
    const watching = await watch({ env: { DBUS_SYSTEM_BUS_ADDRESS: address }, retry: 10_000 })
    expect(watching.trouble).toMatch(/can't be heard|no system bus/)
  })

  test('it waits longer each time, up to what is asked', async () => {
    const { address, sockets } = await serveBytes('REJECTED\r\n', 'REJECTED\r\n')
    await watch({ env: { DBUS_SYSTEM_BUS_ADDRESS: address }, retry: 40 })
    await new Promise(resolve => setTimeout(resolve, 500))
    await until(() => sockets.length > 1)
    // At 0, 40, 120, 280 ms, and then at 600.
    expect(sockets.length).toBeLessThan(6)
  })
})

test('on other systems it says that nothing is noticed', async () => {
  const options = { onSuspend: () => undefined, onScreenLock: () => undefined }
  for (const system of ['darwin', 'win32']) {
    const watching = await watchSuspend(options, system)
    expect(watching.trouble).toContain('not noticed on this system')
    watching.close()
  }
})
