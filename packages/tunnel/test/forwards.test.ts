import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { Duplex, PassThrough } from 'node:stream'
import { KeytoolError } from '@keytool/keygen'
import { explainListening, type LocalForward, listenLocal, type OpenTarget } from '../src/forwards/local.js'
import { addressToBind, formatForward, isOpenToOthers, parseForward } from '../src/forwards/spec.js'
import { findPortOwner } from '../src/platform/port-owner.js'

describe('-L', () => {
  test.each([
    ['1110:mail.example:110', undefined, 1110, 'mail.example', 110, false],
    ['0:localhost:65535', undefined, 0, 'localhost', 65535, false],
    ['127.0.0.2:80:a:1', '127.0.0.2', 80, 'a', 1, false],
    ['localhost:80:a:1', 'localhost', 80, 'a', 1, false],
    ['[::1]:80:[2001:db8::1]:443', '::1', 80, '2001:db8::1', 443, false],
    ['192.0.2.1:80:a:1', '192.0.2.1', 80, 'a', 1, true],
    ['*:80:a:1', '*', 80, 'a', 1, true],
    [':80:a:1', '*', 80, 'a', 1, true],
  ])('%s', (text, bind, port, host, hostPort, open) => {
    const spec = parseForward('local', text)
    expect(spec).toEqual({ kind: 'local', ...(bind && { bind }), port, to: { host, port: hostPort } })
    expect(isOpenToOthers(spec)).toBe(open)
    expect(parseForward('local', formatForward(spec))).toEqual(spec)
  })

  test.each([
    '',
    '80',
    '80:a',
    '80:a:0',
    '80:a:65536',
    '65536:a:80',
    '-1:a:80',
    '1e3:a:80',
    'a:80',
    '80::1',
    'x:80:a:1:2',
    '::1:80:a:1',
    '[::1:80:a:1',
    '[a]:80:b:1',
    '80:[::1]x:1',
    '80:-oProxyCommand=x:1',
    '80:a b:1',
    '80:a\nb:1',
    '80:a\u202eb:1',
    '80:$(x):1',
    '-x:80:a:1',
    '/run/a.sock:b:1',
    '80:/run/a.sock',
  ])('%j is refused', text => {
    expect(() => parseForward('local', text)).toThrow(expect.objectContaining({ code: 'usage' }))
  })

  test.each(['remote', 'dynamic'] as const)('%s forwards are not carried yet, and that is said', kind => {
    const told = expect.objectContaining({ code: 'usage', reason: expect.stringContaining('not carried yet') })
    expect(() => parseForward(kind, '1080')).toThrow(told)
  })

  test('loopback unless an address is written', () => {
    expect(addressToBind(parseForward('local', '80:a:1'))).toBe('127.0.0.1')
    expect(addressToBind(parseForward('local', '*:80:a:1'))).toBeUndefined()
  })
})

describe('a listener', () => {
  const open: LocalForward[] = []

  afterEach(async () => {
    for (const forward of open.splice(0)) await forward.close()
  })

  async function listen(target: OpenTarget, text = '0:target:1'): Promise<LocalForward> {
    const forward = await listenLocal(parseForward('local', text), target)
    open.push(forward)
    return forward
  }

  function visit(forward: LocalForward): Socket {
    return connect({ ...forward.address, allowHalfOpen: true })
  }

  async function endOf(socket: Socket): Promise<string> {
    socket.resume()
    return new Promise(resolve => {
      socket.on('error', error => resolve(String((error as NodeJS.ErrnoException).code)))
      socket.on('end', () => resolve('end'))
    })
  }

  test('tells the target where the connection came from', async () => {
    const asked: unknown[] = []
    const forward = await listen(async (...args) => {
      asked.push(args)
      throw new KeytoolError('refused', 'not this one')
    }, '0:target.example:42')
    const socket = visit(forward)
    expect(await endOf(socket)).toBe('ECONNRESET')
    const end = Date.now() + 1000
    while (forward.counters.open > 0 && Date.now() < end) await new Promise(resolve => setTimeout(resolve, 2))
    expect(asked).toEqual([['target.example', 42, { host: '127.0.0.1', port: expect.any(Number) }]])
    expect(forward.counters).toEqual({ connections: 1, open: 0, bytesIn: 0, bytesOut: 0, lastError: 'not this one' })
  })

  test('waits with reading until the target is there, and hands each end on by itself', async () => {
    const gate = new PassThrough()
    const forward = await listen(async () => {
      await once(gate, 'data')
      return echoAtEnd()
    })
    const socket = visit(forward)
    socket.end('before anybody listens')
    gate.write('go')
    const [answer] = await once(socket, 'data')
    expect(String(answer)).toBe('[before anybody listens]')
    expect(await endOf(socket)).toBe('end')
  })

  test('a channel that breaks is a reset, even when half of it had ended', async () => {
    const forward = await listen(async () => {
      const stream = echoAtEnd()
      setTimeout(() => stream.destroy(new KeytoolError('unreachable', 'lost')), 50)
      return stream
    })
    expect(await endOf(visit(forward))).toBe('ECONNRESET')
    expect(forward.counters.lastError).toBe('lost')
  })

  test('a local program that breaks destroys the channel without ending it', async () => {
    const stream = echoAtEnd()
    let finished = false
    stream.on('finish', () => {
      finished = true
    })
    const forward = await listen(async () => stream)
    const socket = visit(forward)
    socket.write('half')
    await once(stream, 'pipe')
    await new Promise(resolve => setTimeout(resolve, 20))
    socket.resetAndDestroy()
    await once(stream, 'close')
    expect(finished).toBe(false)
  })

  test('a slow reader holds the sender back', async () => {
    let sent = 0
    const block = Buffer.alloc(64 * 1024)
    const source = new Duplex({
      read() {
        sent += block.length
        this.push(block)
      },
      write: (_chunk, _encoding, done) => done(),
    })
    const forward = await listen(async () => source)
    const socket = visit(forward)
    await once(socket, 'connect')
    socket.pause()
    await new Promise(resolve => setTimeout(resolve, 300))
    // What the two ends of a loopback connection hold by themselves is some MiB.
    expect(sent).toBeLessThan(32 * 1024 * 1024)
    socket.destroy()
  })

  describe('on a port in use', () => {
    let holder: Server
    let port: number

    beforeAll(async () => {
      holder = createServer().listen(0, '127.0.0.1')
      await once(holder, 'listening')
      port = (holder.address() as { port: number }).port
    })

    afterAll(() => holder.close())

    test('names it, its holder where that can be known, and a free one', async () => {
      const owner = await findPortOwner(port, '127.0.0.1')
      // This very process holds it. Other systems can't tell.
      expect(owner?.pid).toBe(process.platform === 'linux' ? process.pid : undefined)
      const failure = listenLocal(parseForward('local', `${port}:mail.example:110`), async () => echoAtEnd())
      await expect(failure).rejects.toMatchObject({
        code: 'failed',
        message: `127.0.0.1:${port} is in use`,
        reason: owner && `held by ${owner.name} (pid ${owner.pid})`,
        hint: expect.stringMatching(/^a free port: -L \d+:mail\.example:110$/),
      })
    })

    test('nobody is named for a free one, for another address, or on a system that can’t tell', async () => {
      expect(await findPortOwner(1, '127.0.0.1')).toBeUndefined()
      expect(await findPortOwner(port, '127.0.0.77')).toBeUndefined()
      expect(await findPortOwner(port, '127.0.0.1', 'win32')).toBeUndefined()
    })
  })

  test('a port kept for root comes with one that is not', async () => {
    const error = await explainListening({ code: 'EACCES' }, parseForward('local', '110:mail.example:110'))
    expect(error).toMatchObject({ code: 'failed', hint: 'take -L 1110:mail.example:110' })
  })

  test('an address of another machine', async () => {
    const spec = parseForward('local', '192.0.2.1:0:a:1')
    await expect(listenLocal(spec, async () => echoAtEnd())).rejects.toMatchObject({
      code: 'failed',
      reason: 'that is no address of this machine',
    })
  })
})

/** Answers with what came, once the other side has ended. */
function echoAtEnd(): Duplex {
  const parts: Buffer[] = []
  return new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      parts.push(chunk)
      done()
    },
    final(done) {
      this.push(`[${Buffer.concat(parts)}]`)
      this.push(null)
      done()
    },
  })
}
