import { once } from 'node:events'
import { Duplex, PassThrough } from 'node:stream'
import { setImmediate as turnOfLoop } from 'node:timers/promises'
import { jest } from '@jest/globals'
import { KeytoolError } from '@keytool/keygen'
import type { PasswordPrompt } from '@keytool/tunnel'
import { LoginQuestion } from '../src/fleet/login-question.js'
import { dialPatiently } from '../src/fleet/patience.js'
import { SharedWays } from '../src/fleet/shared-ways.js'
import { inTurn, waitForTurn } from '../src/turn.js'
import { makeMember, makeStage } from './fleet-fixture.js'

// Logging in on many hosts at once: who is asked when, and servers that have no room.

describe('a turn', () => {
  test('is had by one at a time, in the order they came, and once within itself', async () => {
    const done: string[] = []
    const first = await waitForTurn()
    const second = inTurn(async () => {
      done.push('second')
      await inTurn(async () => done.push('within the second'))
    })
    const third = inTurn(async () => done.push('third'))
    await first.within(() => inTurn(async () => done.push('within the first')))
    await turnOfLoop()
    expect(done).toEqual(['within the first'])
    first.release()
    await Promise.all([second, third])
    expect(done).toEqual(['within the first', 'second', 'within the second', 'third'])
  })

  test('is passed on by one that failed', async () => {
    await expect(inTurn(async () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    await expect(inTurn(async () => 'yes')).resolves.toBe('yes')
  })
})

describe('a password', () => {
  const prompt = (host: string, more: Partial<PasswordPrompt> = {}): PasswordPrompt => ({
    ...{ kind: 'password', user: 'hana', host, text: '', echo: false, attempt: 1, left: 3, ...more },
  })

  /** Somebody who answers when the test says so. */
  function makeSomebody() {
    const asked: { text: string; answer: (text: string) => void; leave: () => void }[] = []
    const { context } = makeStage({
      secret: (text, _isShown, leaving) =>
        new Promise((resolve, reject) => {
          const leave = () => reject(new KeytoolError('cancelled', 'left'))
          leaving?.addEventListener('abort', leave)
          asked.push({ text, answer: answer => resolve(Buffer.from(answer)), leave })
        }),
      text: async () => '',
    })
    return { context, asked, ask: (file?: string) => new LoginQuestion(file, undefined, context) }
  }

  test('is asked for on one host, and on the next once it is known whether it was right', async () => {
    const { asked, ask } = makeSomebody()
    const [one, two] = [ask(), ask()]
    const first = one.askPassword(prompt('web1'))
    const second = two.askPassword(prompt('web2'))
    await turnOfLoop()
    expect(asked.map(({ text }) => text)).toEqual(['password for hana@web1'])
    asked[0]?.answer('wrong')
    expect(String(await first)).toBe('wrong')
    // It was refused: the next question is of the same host.
    const again = one.askPassword(prompt('web1', { attempt: 2, left: 2 }))
    await turnOfLoop()
    expect(asked.map(({ text }) => text)).toEqual(['password for hana@web1', 'password for hana@web1'])
    asked[1]?.answer('right')
    expect(String(await again)).toBe('right')
    await one.accepted()
    await turnOfLoop()
    expect(asked[2]?.text).toBe('password for hana@web2')
    asked[2]?.answer('right')
    expect(String(await second)).toBe('right')
    two.release()
  })

  test('what a server says before its question stands right before it, and behind those of others', async () => {
    const { context, asked, ask } = makeSomebody()
    const seen: string[] = []
    const say = jest.spyOn(context.say, 'prompt').mockImplementation(text => void seen.push(text))
    const [one, two] = [ask(), ask()]
    const first = one.askPassword(prompt('web1'))
    two.tell('web2 says: 1 push, 2 call')
    const second = two.askPassword(prompt('web2', { kind: 'keyboard-interactive', text: 'Option' }))
    await turnOfLoop()
    expect([asked.length, seen]).toEqual([1, []])
    asked[0]?.answer('right')
    await first
    one.release()
    await turnOfLoop()
    expect([asked.length, seen]).toEqual([2, ['web2 says: 1 push, 2 call']])
    asked[1]?.answer('2')
    await second
    // Its turn goes on.
    two.tell('web2 says: wrong')
    await turnOfLoop()
    expect(seen).toHaveLength(2)
    two.release()
    say.mockRestore()
  })

  test('a host that hangs up while others are asked is gone to again when it is its turn', async () => {
    const { asked, ask } = makeSomebody()
    const [one, two] = [ask(), ask()]
    const first = one.askPassword(prompt('web1'))
    const lost = two.askPassword(prompt('web2'))
    const refused = expect(lost).rejects.toMatchObject({ code: 'unreachable' })
    await turnOfLoop()
    const again = two.mayConnectAgain(new KeytoolError('unreachable', 'web2 closed the connection'))
    asked[0]?.answer('x')
    await first
    one.release()
    expect(await again).toBe(true)
    await refused
    const second = two.askPassword(prompt('web2'))
    await turnOfLoop()
    expect(asked.map(({ text }) => text)).toEqual(['password for hana@web1', 'password for hana@web2'])
    asked[1]?.answer('y')
    expect(String(await second)).toBe('y')
    two.release()
  })

  test('one that hangs up while somebody thinks is gone to again with what they type; not so for what is no password', async () => {
    const { asked, ask } = makeSomebody()
    const one = ask()
    const first = one.askPassword(prompt('web1'))
    await turnOfLoop()
    const again = one.mayConnectAgain(new KeytoolError('unreachable', 'web1 closed the connection'))
    asked[0]?.answer('x')
    expect(await again).toBe(true)
    await first
    expect(String(await one.askPassword(prompt('web1')))).toBe('x')
    expect(asked).toHaveLength(1)
    one.release()

    const two = ask()
    const code = two.askPassword(prompt('web2', { kind: 'keyboard-interactive', text: 'code of today' }))
    const left = expect(code).rejects.toMatchObject({ code: 'cancelled' })
    await turnOfLoop()
    expect(await two.mayConnectAgain(new KeytoolError('unreachable', 'web2 closed the connection'))).toBe(false)
    two.release()
    await left
  })

  test('one that hangs up at the answer gets it once more, and no third time; one that says no does not', async () => {
    const { asked, ask } = makeSomebody()
    const one = ask()
    const first = one.askPassword(prompt('web1'))
    await turnOfLoop()
    asked[0]?.answer('x')
    await first
    expect(await one.mayConnectAgain(new KeytoolError('secret-wrong', 'no'))).toBe(false)
    const lost = new KeytoolError('unreachable', 'web1 closed the connection')
    expect(await one.mayConnectAgain(lost)).toBe(true)
    expect(String(await one.askPassword(prompt('web1')))).toBe('x')
    expect(await one.mayConnectAgain(lost)).toBe(false)
    one.release()
  })
})

describe('a server without room', () => {
  const target = { host: 'web1', port: 22 }
  const { context } = makeStage()

  /** What the server says on each connection; `undefined`: it hangs up without a word. */
  function serve(...greetings: (string | undefined)[]) {
    const pauses: number[] = []
    let dialled = 0
    const dial = dialPatiently(
      async () => {
        const greeting = greetings[Math.min(dialled++, greetings.length - 1)]
        const stream = new PassThrough()
        if (greeting !== undefined) stream.write(greeting)
        if (!greeting?.startsWith('SSH-')) stream.end()
        return stream
      },
      context,
      { pause: async time => pauses.push(time), random: () => 0.5 },
    )
    return { dial, pauses, dialled: () => dialled }
  }

  test('is tried again after growing pauses, and its first words are there for whoever reads them', async () => {
    const { dial, pauses, dialled } = serve(
      undefined,
      'Exceeded MaxStartups\r\n',
      'Not allowed at this time\r\n',
      'SSH-2.0-x\r\n',
    )
    const stream = await dial(target)
    stream.end('more')
    expect(String(Buffer.concat(await stream.toArray()))).toBe('SSH-2.0-x\r\nmore')
    expect([pauses, dialled()]).toEqual([[250, 500, 1000], 4])
  })

  test('is left alone in the end, with what may be done', async () => {
    const { dial, dialled } = serve('Exceeded MaxStartups\r\n')
    await expect(dial(target)).rejects.toMatchObject({
      code: 'unreachable',
      message: 'web1:22 turns every connection away',
      hint: expect.stringContaining('--parallel'),
    })
    expect(dialled()).toBe(6)
  })

  test('one that is no SSH server is not tried again', async () => {
    const { dial, dialled } = serve('HTTP/1.1 400 Bad Request\r\n')
    expect(String((await once(await dial(target), 'data'))[0])).toContain('HTTP')
    expect(dialled()).toBe(1)
  })

  test('one that waits for us to begin is waited for no longer than it takes to know', async () => {
    const silent = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
    expect(await dialPatiently(async () => silent, context, { greetingTime: 5 })(target)).toBe(silent)
    silent.push('SSH-2.0-late\r\n')
    expect(String((await once(silent, 'data'))[0])).toBe('SSH-2.0-late\r\n')
  })

  test('the kernel may turn us away, too; other failures are what they are', async () => {
    let dialled = 0
    const fail = (code: string) => async () => {
      dialled++
      throw new KeytoolError('unreachable', 'no', { cause: { code } })
    }
    const quick = { pause: async () => {} }
    await expect(dialPatiently(fail('ECONNRESET'), context, quick)(target)).rejects.toMatchObject({ message: 'no' })
    expect(dialled).toBe(6)
    await expect(dialPatiently(fail('ECONNREFUSED'), context, quick)(target)).rejects.toMatchObject({ message: 'no' })
    expect(dialled).toBe(7)
  })

  test('whoever stops does not wait', async () => {
    const stop = new AbortController()
    const dial = dialPatiently(async () => new PassThrough().end(), context)
    const dialled = dial({ ...target, signal: stop.signal })
    stop.abort()
    await expect(dialled).rejects.toMatchObject({ code: 'cancelled' })
  })
})

test('a way through other hosts is opened once for all, and closed with the last', async () => {
  const ways = new SharedWays()
  let opened = 0
  let closed = 0
  const open = async () => {
    opened++
    return { dial: async () => new PassThrough(), close: async () => void closed++ }
  }
  const hops = [makeMember('bastion').destination]
  const both = await Promise.all([ways.open(hops, open), ways.open(hops, open)])
  await ways.open([makeMember('other').destination], open)
  for (const way of both) await way.close()
  expect([opened, closed]).toEqual([2, 0])
  await ways.close()
  expect(closed).toBe(2)
})
