import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
// @ts-expect-error: it comes without types
import message from '@homebridge/dbus-native/lib/message.js'
import { createNotifier, type NotifierOptions } from '../src/unlock/notify.js'
import { later, listenAt, makeTemporary } from './support.js'

const never = new AbortController().signal
const NAME = 'org.freedesktop.Notifications'
const DESKTOP = ':1.7'
const TEXT = 'git (pid 1) wants id_work for git@github.com\nasked by ssh (pid 2) <- git (pid 1)\nAllow this signature?'

interface Call {
  readonly serial: number
  readonly member: string
  readonly body?: readonly unknown[]
}

interface Answer {
  readonly signature: string
  readonly body: readonly unknown[]
}

/** A session bus with a desktop on it, as far as a notification needs them. */
class FakeBus {
  readonly calls: Call[] = []
  readonly answers: Record<string, Answer | undefined> = {
    Hello: { signature: 's', body: [':1.9'] },
    GetNameOwner: { signature: 's', body: [DESKTOP] },
    AddMatch: { signature: '', body: [] },
    GetCapabilities: { signature: 'as', body: [['actions', 'body', 'body-markup']] },
    Notify: { signature: 'u', body: [42] },
    CloseNotification: { signature: '', body: [] },
  }
  #socket: Socket | undefined
  #serial = 100
  path = ''

  async start(): Promise<this> {
    this.path = join(await makeTemporary(), 'bus')
    const sockets = new Set<Socket>()
    const server = createServer(socket => {
      sockets.add(socket)
      this.#socket = socket
      socket.on('error', () => undefined)
      const messages = new PassThrough()
      message.unmarshalMessages(messages, (call: Call) => this.#take(call), {})
      socket.once('data', () => {
        socket.write('OK 1234\r\n')
        // The client waits for that, so what comes next begins with this.
        socket.once('data', rest => {
          messages.write(rest.subarray('BEGIN\r\n'.length))
          socket.pipe(messages)
        })
      })
    })
    await listenAt(server, this.path)
    later(() => {
      for (const socket of sockets) socket.destroy()
      return new Promise(resolve => server.close(resolve))
    })
    return this
  }

  #take(call: Call): void {
    this.calls.push(call)
    const answer = this.answers[call.member]
    const head = { serial: this.#serial++, replySerial: call.serial, sender: DESKTOP, destination: ':1.9' }
    if (answer?.signature) this.#send({ ...head, type: 2, ...answer })
    else if (answer) this.#send({ ...head, type: 2 })
    else this.#send({ ...head, type: 3, errorName: 'org.freedesktop.DBus.Error.NameHasNoOwner' })
  }

  signal(member: string, id: number, second: string | number, sender: string = DESKTOP): void {
    const signature = typeof second === 'string' ? 'us' : 'uu'
    const path = '/org/freedesktop/Notifications'
    this.#send({
      type: 4,
      serial: this.#serial++,
      path,
      interface: NAME,
      member,
      sender,
      signature,
      body: [id, second],
    })
  }

  #send(value: object): void {
    this.#socket?.write(message.marshall(value))
  }

  cut(): void {
    this.#socket?.destroy()
  }

  async until(member: string): Promise<Call> {
    for (let i = 0; i < 2000; i++) {
      const call = this.calls.find(each => each.member === member)
      // The answer is read in the turn after.
      await new Promise(resolve => setTimeout(resolve, 10))
      if (call) return call
    }
    throw new Error(`${member} was not called`)
  }
}

async function setUp(more: NotifierOptions = {}) {
  const bus = await new FakeBus().start()
  const notifier = createNotifier({ env: { DBUS_SESSION_BUS_ADDRESS: `unix:path=${bus.path}` }, ...more })
  return { bus, notifier }
}

test('the button that allows is a yes; the question is shown whole, and no markup', async () => {
  const { bus, notifier } = await setUp()
  const answer = notifier.confirm(TEXT, never)
  const { body } = await bus.until('Notify')
  expect(body?.slice(0, 6)).toEqual([
    'keytool',
    0,
    'dialog-password',
    'git (pid 1) wants id_work for git@github.com',
    'asked by ssh (pid 2) &lt;- git (pid 1)\nAllow this signature?',
    ['deny', 'Deny', 'allow', 'Allow'],
  ])
  bus.signal('ActionInvoked', 42, 'allow')
  expect(await answer).toBe(true)
})

test.each<[string, (bus: FakeBus) => void]>([
  ['the other button', bus => bus.signal('ActionInvoked', 42, 'deny')],
  ['a click beside the buttons', bus => bus.signal('ActionInvoked', 42, 'default')],
  ['closed', bus => bus.signal('NotificationClosed', 42, 2)],
  ['expired', bus => bus.signal('NotificationClosed', 42, 1)],
])('%s is a no', async (_, act) => {
  const { bus, notifier } = await setUp()
  const answer = notifier.confirm(TEXT, never)
  await bus.until('Notify')
  act(bus)
  expect(await answer).toBe(false)
})

test('what another program says, or what is said of another notification, is no answer', async () => {
  const { bus, notifier } = await setUp()
  const answer = notifier.confirm(TEXT, never)
  await bus.until('Notify')
  bus.signal('ActionInvoked', 42, 'allow', ':1.8')
  bus.signal('ActionInvoked', 42, 'allow', NAME)
  bus.signal('ActionInvoked', 41, 'allow')
  bus.signal('Allowed', 42, 'allow')
  bus.signal('NotificationClosed', 42, 2)
  expect(await answer).toBe(false)
})

test('a client that leaves takes its notification along', async () => {
  const { bus, notifier } = await setUp()
  const leaver = new AbortController()
  const answer = notifier.confirm(TEXT, leaver.signal)
  answer.catch(() => undefined)
  await bus.until('Notify')
  leaver.abort()
  await expect(answer).rejects.toMatchObject({ code: 'cancelled' })
  expect((await bus.until('CloseNotification')).body).toEqual([42])
})

test('nobody who answers in time is a no', async () => {
  const { bus, notifier } = await setUp({ patience: { confirm: 100, passphrase: 100 } })
  await expect(notifier.confirm(TEXT, never)).rejects.toMatchObject({ message: 'nobody answered within 1 s' })
  await bus.until('CloseNotification')
})

test('a desktop that goes away is a no', async () => {
  const { bus, notifier } = await setUp()
  const answer = notifier.confirm(TEXT, never)
  answer.catch(() => undefined)
  await bus.until('Notify')
  bus.cut()
  await expect(answer).rejects.toMatchObject({ code: 'cancelled', message: 'the desktop went away' })
})

test('nobody can be asked without a session bus, a desktop on it, or buttons; nor for a passphrase', async () => {
  expect(await createNotifier({ env: {} }).confirm(TEXT, never)).toBeUndefined()
  const { bus, notifier } = await setUp()
  bus.answers['GetCapabilities'] = { signature: 'as', body: [['body']] }
  expect(await notifier.confirm(TEXT, never)).toBeUndefined()
  bus.answers['GetNameOwner'] = undefined
  expect(await notifier.confirm(TEXT, never)).toBeUndefined()
  expect(await notifier.passphrase(TEXT, never)).toBeUndefined()
  expect(bus.calls.some(({ member }) => member === 'Notify')).toBe(false)
})

test('a bus that is not there, and a desktop that says no, are troubles: the next prompter may do', async () => {
  const { bus, notifier } = await setUp()
  const env = { DBUS_SESSION_BUS_ADDRESS: `unix:path=${bus.path}.none` }
  await expect(createNotifier({ env }).confirm(TEXT, never)).rejects.toMatchObject({ code: 'failed' })
  bus.answers['Notify'] = undefined
  await expect(notifier.confirm(TEXT, never)).rejects.toMatchObject({ code: 'failed' })
})
