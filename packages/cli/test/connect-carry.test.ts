import { once } from 'node:events'
import { PassThrough, Transform, Writable } from 'node:stream'
import { KeytoolError } from '@keytool/keygen'
import type { Exit, RemoteSession } from '@keytool/tunnel'
import { carry, type Stages } from '../src/commands/connect/carry.js'

const MiB = 1024 * 1024
const nothing: Stages = { input: [], output: [], errors: [] }
const never = () => new AbortController().signal

/** A far side of the test's own. */
function fake() {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  let end: (exit: Exit) => void = () => {}
  let fail: (error: unknown) => void = () => {}
  const exit = new Promise<Exit>((resolve, reject) => {
    end = resolve
    fail = reject
  })
  exit.catch(() => {})
  let closed = 0
  const session: RemoteSession = {
    stdin,
    stdout,
    stderr,
    exit,
    resize() {},
    signal() {},
    close: () => {
      closed++
    },
  }
  const finish = (exit: Exit) => {
    stdout.end()
    stderr.end()
    end(exit)
  }
  return { session, stdin, stdout, stderr, finish, fail: (error: unknown) => fail(error), closed: () => closed }
}

/** Ends of this side that keep what they get. */
function near() {
  const got = { out: '', err: '' }
  const sink = (name: 'out' | 'err') =>
    new Writable({
      write(bytes, _encoding, done) {
        got[name] += bytes
        done()
      },
    })
  return { stdin: new PassThrough(), stdout: sink('out'), stderr: sink('err'), got }
}

const upper = () => new Transform({ transform: (bytes, _encoding, done) => done(null, String(bytes).toUpperCase()) })

test('bytes go both ways, through their stages, and how it ended comes back', async () => {
  const [far, here] = [fake(), near()]
  const outcome = carry(far.session, here, { input: [upper()], output: [upper()], errors: [] }, never())
  let typed = ''
  far.stdin.on('data', bytes => {
    typed += bytes
  })
  here.stdin.end('typed')
  await once(far.stdin, 'end')
  expect(typed).toBe('TYPED')
  far.stdout.write('said')
  far.stderr.write('complained')
  far.finish({ status: 3 })
  expect(await outcome).toEqual({ exit: { status: 3 } })
  expect(here.got).toEqual({ out: 'SAID', err: 'complained' })
  expect(here.stdout.writableEnded).toBe(false)
  expect(far.closed()).toBe(1)
})

test('input that had ended before is an end of input', async () => {
  const [far, here] = [fake(), near()]
  here.stdin.destroy()
  const outcome = carry(far.session, here, { ...nothing, input: [upper()] }, never())
  far.stdin.resume()
  await once(far.stdin, 'end')
  far.finish({ status: 0 })
  expect(await outcome).toEqual({ exit: { status: 0 } })
})

test('a far side that does not read its input is no failure', async () => {
  const [far, here] = [fake(), near()]
  const outcome = carry(far.session, here, nothing, never())
  far.stdin.destroy(new Error('closed'))
  here.stdin.write('typed')
  far.finish({ status: 0 })
  expect(await outcome).toEqual({ exit: { status: 0 } })
})

test('what is held back at the end is handed on before it is over', async () => {
  const [far, here] = [fake(), near()]
  const holding = new Transform({ transform: (_bytes, _encoding, done) => done(), flush: done => done(null, 'rest') })
  const outcome = carry(far.session, here, { ...nothing, output: [holding] }, never())
  far.stdout.write('x')
  far.finish({})
  expect(await outcome).toEqual({ exit: {} })
  expect(here.got.out).toBe('rest')
})

test('a lost connection is the session’s error', async () => {
  const [far, here] = [fake(), near()]
  const outcome = carry(far.session, here, { ...nothing, output: [upper()] }, never())
  const lost = new KeytoolError('unreachable', 'the connection is lost')
  far.stdout.destroy(lost)
  far.stderr.destroy()
  far.fail(lost)
  await expect(outcome).rejects.toBe(lost)
})

test('a far side that was gone before anybody listened', async () => {
  for (const output of [[], [upper()]]) {
    const [far, here] = [fake(), near()]
    far.stdout.on('error', () => {}).destroy(new Error('cut'))
    far.stderr.end()
    await new Promise(setImmediate)
    const outcome = carry(far.session, here, { ...nothing, output }, never())
    far.finish({})
    expect(await outcome).toEqual({ exit: {} })
  }
})

test('nobody reads any more: it ends, and the far side with it', async () => {
  const [far, here] = [fake(), near()]
  const stdout = new Writable({
    write: (_bytes, _encoding, done) => done(Object.assign(new Error(), { code: 'EPIPE' })),
  })
  const outcome = carry(far.session, { ...here, stdout }, nothing, never())
  far.stdout.write('y\n')
  expect(await outcome).toMatchObject({ unread: { code: 'EPIPE' } })
  expect(far.closed()).toBe(1)
})

test('errors that nobody reads do not hold up the rest', async () => {
  const [far, here] = [fake(), near()]
  const stderr = new Writable({ write: (_bytes, _encoding, done) => done(new Error()) })
  const outcome = carry(far.session, { ...here, stderr }, { ...nothing, errors: [upper()] }, never())
  far.stderr.write(Buffer.alloc(MiB))
  far.stderr.write(Buffer.alloc(MiB))
  far.stdout.write('said')
  far.finish({ status: 0 })
  expect(await outcome).toEqual({ exit: { status: 0 } })
  expect(here.got.out).toBe('said')
})

test('told to stop, it waits for nothing', async () => {
  const [far, here] = [fake(), near()]
  const stop = new AbortController()
  const outcome = carry(far.session, here, nothing, stop.signal)
  stop.abort()
  expect(await outcome).toBe('stopped')
  expect(far.closed()).toBe(1)
})

describe('no faster than the other side takes it', () => {
  test('from there to here', async () => {
    const [far, here] = [fake(), near()]
    const slow = new Writable({ highWaterMark: 1024, write() {} })
    void carry(far.session, { ...here, stdout: slow }, { ...nothing, output: [upper()] }, never())
    let written = 0
    while (far.stdout.write(Buffer.alloc(1024)) && written < 1000) written++
    await new Promise(setImmediate)
    expect(written).toBeLessThan(1000)
    expect(slow.writableLength).toBeLessThan(100 * 1024)
  })

  test('from here to there', async () => {
    const [far, here] = [fake(), near()]
    void carry(far.session, here, { ...nothing, input: [upper()] }, never())
    let written = 0
    while (here.stdin.write(Buffer.alloc(1024)) && written < 1000) {
      written++
      await new Promise(setImmediate)
    }
    expect(written).toBeLessThan(1000)
  })
})
