import { KeytoolError, Writer } from '@keytool/keygen'
import fc from 'fast-check'
import { isOfType, modeOf } from '../src/sftp/attributes.js'
import { Sftp } from '../src/sftp/client.js'
import { Frames, MAX_MESSAGE } from '../src/sftp/frames.js'
import { flags, requests, room } from '../src/sftp/messages.js'
import { folderOf, followLink, joinPath, remotePath, showPath } from '../src/sftp/path.js'
import { status } from '../src/sftp/status.js'
import { type Asked, answer, connectionTo, fakeSession, frame, servedSession, version } from './sftp-fake.js'

// Servers that answer what nobody asked, at lengths that do not hold, without end, or not at all.

const path = remotePath('/x')

/** A client whose every request is answered so. */
function served(onRequest: (asked: Asked, say: (bytes: Uint8Array) => void) => void): Promise<Sftp> {
  return Sftp.open(connectionTo(servedSession(onRequest)), { timeout: 200 })
}

function greeted(bytes: Uint8Array): Promise<Sftp> {
  return Sftp.open(connectionTo(fakeSession((_chunk, say) => say(bytes))), { timeout: 50 })
}

describe('greetings', () => {
  test.each([
    ['a later version', frame(new Writer().byte(2).uint32(6).done())],
    ['extensions that nobody knows', version('a@b', 'posix-rename@openssh.com', '\u00e9')],
  ])('%s: taken', async (_name, bytes) => {
    await expect(greeted(bytes)).resolves.toBeInstanceOf(Sftp)
  })

  test.each([
    ['version 2', frame(new Writer().byte(2).uint32(2).done())],
    ['another message', frame(new Writer().byte(101).uint32(3).done())],
    ['our own words back', frame(new Writer().byte(1).uint32(3).done())],
    ['half an extension', frame(new Writer().byte(2).uint32(3).text('name').done())],
    [
      'an extension of 1 MiB',
      frame(
        new Writer()
          .byte(2)
          .uint32(3)
          .uint32(1 << 20)
          .done(),
      ),
    ],
    ['extensions without end', version(...Array.from({ length: 65 }, (_, number) => `x${number}`))],
    ['a message of 4 GiB', Buffer.from('ffffffff02', 'hex')],
    ['an empty message', Buffer.alloc(4)],
    ['a login script', Buffer.from('Welcome to the server\n')],
    ['half a greeting', Buffer.from('0000000502', 'hex')],
  ])('%s: no SFTP', async (_name, bytes) => {
    await expect(greeted(bytes)).rejects.toMatchObject({ code: 'unsupported' })
  })

  test('what is understood of a server that ends at once', async () => {
    const session = fakeSession(() => {})
    const opened = Sftp.open(connectionTo(session), { timeout: 1000 })
    session.stderr.push('sh: 1: sftp-server: not found\n')
    setImmediate(() => session.stdout.push(null))
    await expect(opened).rejects.toMatchObject({
      code: 'unsupported',
      reason: 'it says: sh: 1: sftp-server: not found',
    })
  })
})

describe('answers', () => {
  test.each<[string, (id: number) => Uint8Array]>([
    ['to another request', id => answer(id + 1, 'status', { code: 2, message: '' })],
    ['of another kind', id => answer(id, 'handle', { handle: Buffer.from('h') })],
    ['of no kind', id => frame(new Writer().byte(150).uint32(id).done())],
    ['with bytes too many', id => frame(new Writer().byte(105).uint32(id).uint32(0).byte(0).done())],
    ['with attributes of another version', id => frame(new Writer().byte(105).uint32(id).uint32(0x10).done())],
    ['that end too early', id => frame(new Writer().byte(105).uint32(id).uint32(1).done())],
    ['without an id', () => frame(Buffer.of(101))],
    [
      'with 4 billion attributes',
      id =>
        frame(
          new Writer()
            .byte(105)
            .uint32(id)
            .uint32(2 ** 31)
            .uint32(2 ** 32 - 1)
            .done(),
        ),
    ],
    ['of 257 KiB', () => new Writer().uint32(MAX_MESSAGE + 1).done()],
  ])('%s: damaged, and nothing is asked any more', async (_name, make) => {
    const sftp = await served(({ id }, say) => say(make(id)))
    await expect(sftp.stat(path)).rejects.toMatchObject({ code: 'damaged' })
    await expect(sftp.stat(path)).rejects.toMatchObject({ code: 'damaged' })
  })

  test('none: unreachable, after the time', async () => {
    const sftp = await served(() => {})
    await expect(sftp.stat(path)).rejects.toMatchObject({ code: 'unreachable', reason: 'waited 0.2 s' })
    await expect(sftp.stat(path)).rejects.toMatchObject({ code: 'unreachable' })
  })

  test('one byte at a time, and out of turn: all find who asked', async () => {
    const asked: Asked[] = []
    const sftp = await served((one, say) => {
      asked.push(one)
      if (asked.length < 3) return
      for (const { id, value } of asked.reverse()) {
        const size = BigInt(String((value as { path: string }).path).length)
        for (const byte of answer(id, 'attributes', { attributes: { size } })) say(Buffer.of(byte))
      }
    })
    const sizes = await Promise.all(['/1', '/22', '/333'].map(text => sftp.stat(remotePath(text))))
    expect(sizes.map(({ size }) => size)).toEqual([2n, 3n, 4n])
  })

  test('no: its number, and its words escaped', async () => {
    const sftp = await served(({ id }, say) => say(answer(id, 'status', { code: 3, message: 'no\u001b[2J' })))
    await expect(sftp.stat(path)).rejects.toMatchObject({ status: 3, message: 'no permission', reason: 'no\\u{1b}[2J' })
  })

  test('an old server says no in a number alone', async () => {
    const sftp = await served(({ id }, say) => say(frame(new Writer().byte(101).uint32(id).uint32(2).done())))
    await expect(sftp.stat(path)).rejects.toMatchObject({ status: status.noSuchFile, code: 'not-found' })
  })

  test('the session ends in the middle: all who wait are told', async () => {
    const session = servedSession(() => {})
    const sftp = await Sftp.open(connectionTo(session))
    const waiting = [sftp.stat(path), sftp.list(path), sftp.open(path, flags.read)]
    session.close()
    for (const one of waiting) await expect(one).rejects.toMatchObject({ code: 'unreachable' })
  })

  test('ended by us: who waits is told, and nothing is asked any more', async () => {
    const sftp = await served(() => {})
    const waiting = sftp.stat(path)
    sftp.end()
    for (const one of [waiting, sftp.stat(path)]) await expect(one).rejects.toMatchObject({ code: 'unreachable' })
  })

  test('what is left on a disk, in eleven numbers', async () => {
    const left = { blocks: 0n, files: 3n, allFiles: 9n, isReadOnly: true }
    const sftp = await served(({ id }, say) => {
      const writer = new Writer()
      room.write(writer, left)
      say(answer(id, 'extended', { body: writer.done() }))
    })
    expect(await sftp.statvfs(path)).toEqual(left)
    const short = await served(({ id }, say) => say(answer(id, 'extended', { body: Buffer.alloc(80) })))
    await expect(short.statvfs(path)).rejects.toMatchObject({ code: 'damaged' })
  })

  test('more, or less, than was asked to read: damaged', async () => {
    for (const length of [0, 11]) {
      const sftp = await served(({ id }, say) => say(answer(id, 'data', { data: Buffer.alloc(length) })))
      await expect(sftp.read(Buffer.from('h'), 0, 10)).rejects.toMatchObject({ code: 'damaged' })
    }
  })

  test('no name, or two, where one was asked for; one with a NUL, an empty one', async () => {
    const name = (text: string) => ({ path: remotePath(text), line: '', attributes: {} })
    for (const names of [[], [name('/a'), name('/b')], [name('/a\0b')], [name('')]]) {
      const sftp = await served(({ id }, say) => say(answer(id, 'name', { names })))
      await expect(sftp.realpath(path)).rejects.toMatchObject({ code: 'damaged' })
    }
  })

  test('a folder without end, or of empty pieces: damaged', async () => {
    for (const count of [0, 3000]) {
      const names = Array.from({ length: count }, () => ({ path, line: '', attributes: {} }))
      const sftp = await served(({ name, id }, say) =>
        say(name === 'readdir' ? answer(id, 'name', { names }) : answer(id, 'handle', { handle: Buffer.from('h') })),
      )
      await expect(sftp.list(path)).rejects.toMatchObject({ code: 'damaged' })
    }
  })

  test('a folder of long names: damaged before they fill the memory', async () => {
    const long = { path: remotePath('x'.repeat(4000)), line: 'y'.repeat(8000), attributes: {} }
    let pieces = 0
    const sftp = await served(({ name, id }, say) => {
      if (name === 'readdir') pieces++
      say(
        name === 'readdir'
          ? answer(id, 'name', { names: Array(20).fill(long) })
          : answer(id, 'handle', { handle: Buffer.from('h') }),
      )
    })
    await expect(sftp.list(path)).rejects.toMatchObject({ code: 'damaged' })
    expect(pieces).toBe(70)
  })

  test('a byte at a time, each in time: given up all the same', async () => {
    const session = servedSession(
      ({ id }, say) => void setTimeout(() => say(answer(id, 'data', { data: Buffer.alloc(1) })), 20),
    )
    const sftp = await Sftp.open(connectionTo(session), { timeout: 10_000, patience: 300 })
    const readAll = async () => {
      for (let at = 0; at < 100; at++) await sftp.read(Buffer.from('h'), at, 10)
    }
    await expect(readAll()).rejects.toMatchObject({
      code: 'unreachable',
      reason: expect.stringMatching(/far too long/),
    })
  })

  test('words on stderr without end cost nothing', async () => {
    const session = servedSession(({ id }, say) => say(answer(id, 'attributes', { attributes: {} })))
    const sftp = await Sftp.open(connectionTo(session))
    for (let count = 0; count < 100; count++) session.stderr.push(Buffer.alloc(65536, 'x'))
    expect(await sftp.stat(path)).toEqual({})
  })
})

test('a channel that is cut after a few words, in place of a greeting: those are told', async () => {
  const session = fakeSession((_chunk, say) => say(Buffer.from('go away\n')))
  const opened = Sftp.open(connectionTo(session), { timeout: 1000 })
  setImmediate(() => session.stdout.destroy(new KeytoolError('unreachable', 'cut')))
  await expect(opened).rejects.toMatchObject({ code: 'unsupported', reason: 'it says: go away' })
  const silent = fakeSession(() => {})
  const lost = Sftp.open(connectionTo(silent), { timeout: 1000 })
  setImmediate(() => silent.stdout.destroy(new KeytoolError('unreachable', 'cut')))
  await expect(lost).rejects.toMatchObject({ code: 'unreachable', message: 'cut' })
})

test('any bytes: damaged, unsupported or unreachable, never anything else', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), fc.boolean(), async (bytes, framed) => {
      const junk = framed ? frame(bytes) : bytes
      const sftp = await Sftp.open(connectionTo(servedSession((_asked, say) => say(junk))), { timeout: 5 })
      const error = await sftp.stat(path).catch((caught: unknown) => caught)
      expect(['damaged', 'unreachable']).toContain((error as { code?: unknown }).code)
      const greeting = await Sftp.open(connectionTo(fakeSession((_chunk, say) => say(junk))), { timeout: 5 }).catch(
        (caught: unknown) => caught,
      )
      expect(['unsupported', undefined]).toContain((greeting as { code?: unknown }).code)
    }),
    { numRuns: 100 },
  )
})

test('messages are cut out of any chunks', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 })),
      fc.array(fc.nat(60), { minLength: 1 }),
      (bodies, cuts) => {
        const stream = Buffer.concat(bodies.map(frame))
        const frames = new Frames()
        const got: Buffer[] = []
        for (let at = 0, turn = 0; at < stream.length; turn++) {
          const size = Math.max(1, cuts[turn % cuts.length] ?? 1)
          frames.push(stream.subarray(at, at + size))
          at += size
          for (let body = frames.next(); body; body = frames.next()) got.push(Buffer.from(body))
        }
        expect(got).toEqual(bodies.map(body => Buffer.from(body)))
      },
    ),
  )
})

test('every request has a number or a name of its own', () => {
  const all = Object.values(requests).map(({ number, extension }) => extension ?? number)
  expect(new Set(all).size).toBe(all.length)
})

test('paths: bytes of any charset go through as they came', () => {
  const home = Buffer.from('/home/\xa4\xa2', 'latin1').toString('latin1') as ReturnType<typeof remotePath>
  expect(joinPath(home, '.ssh')).toBe(`${home}/.ssh`)
  expect(joinPath(remotePath('/'), 'a')).toBe('/a')
  expect(folderOf(remotePath('/a'))).toBe('/')
  expect(followLink(remotePath('/a/b'), remotePath('../c'))).toBe('/a/../c')
  expect(followLink(remotePath('/a/b'), remotePath('/c'))).toBe('/c')
  expect(showPath(remotePath('/ü\u001b'))).toBe('/ü\\u{1b}')
})

test('types and modes', () => {
  expect([isOfType({ permissions: 0o100600 }, 'file'), isOfType({ permissions: 0o120777 }, 'file')]).toEqual([
    true,
    false,
  ])
  expect([isOfType({ permissions: 0o040700 }, 'folder'), isOfType({}, 'file')]).toEqual([true, false])
  expect([modeOf({ permissions: 0o104755 }), modeOf({})]).toEqual([0o4755, undefined])
})
