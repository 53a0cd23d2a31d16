import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { type Bus, type BusCall, connectBus, toBus } from '../platform/bus.js'
import type { BusMessage } from '../platform/bus-codec.js'
import { PATIENCE, type Patience, type Prompter, withPatience } from './prompter.js'

export interface NotifierOptions {
  /** Default: this process's. */
  readonly env?: Readonly<NodeJS.ProcessEnv>
  readonly patience?: Patience
  /** Milliseconds that the desktop may take to answer us. */
  readonly timeout?: number
}

const NAME = 'org.freedesktop.Notifications'
const TIMEOUT = 5000
/** `app_name, replaces_id, app_icon, summary, body, actions, hints, expire_timeout`. */
const NOTIFY = 'susssasa{sv}i'
/** Stays until it is answered. */
const CRITICAL = 2
const NEVER = 0

/**
 * Asks yes or no by a notification with two buttons (Desktop Notifications Specification 1.2), for desktops without an
 * askpass program. Anything but the button that allows is a no: the other button, a notification that is closed or
 * expires, a desktop that goes away. A passphrase can't be asked for this way.
 *
 * Nobody can be asked where there is no session bus, nothing that shows notifications runs on it, or it has no buttons.
 */
export function createNotifier(options: NotifierOptions = {}): Prompter {
  const { env = process.env, patience = PATIENCE, timeout = TIMEOUT } = options
  return {
    name: 'notification',
    async confirm(text, signal) {
      const address = env['DBUS_SESSION_BUS_ADDRESS']
      if (!address) return undefined
      return withPatience(signal, patience.confirm, ended => askOver(address, timeout, text, ended))
    },
    passphrase: async () => undefined,
  }
}

async function askOver(
  address: string,
  timeout: number,
  text: string,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const heard: BusMessage[] = []
  let wake: (end?: unknown) => void = () => undefined
  let bus: Bus | undefined
  try {
    bus = await connectBus(address, {
      timeout,
      onSignal(message) {
        heard.push(message)
        wake()
      },
      onEnd: reason => wake(reason),
    })
    const desktop = await findDesktop(bus)
    if (!desktop) return undefined
    signal.throwIfAborted()
    const { owner, hasMarkup } = desktop
    const id = await show(bus, text, hasMarkup)
    return await new Promise<boolean>((resolve, reject) => {
      wake = end => {
        const answer = answerIn(heard.splice(0), owner, id)
        if (answer !== undefined) resolve(answer)
        else if (end !== undefined) reject(new KeytoolError('cancelled', 'the desktop went away', { cause: end }))
      }
      const leave = () => reject(signal.reason)
      signal.addEventListener('abort', leave, { once: true })
      if (signal.aborted) leave()
      wake()
    }).catch(async error => {
      await bus?.call(toDesktop('CloseNotification', 'u', [id])).catch(() => undefined)
      throw error
    })
  } catch (error) {
    if (isKeytoolError(error) && error.code === 'cancelled') throw error
    throw new KeytoolError('failed', 'the desktop shows no notification', { cause: error })
  } finally {
    bus?.close()
  }
}

interface Desktop {
  /** The unique name of what shows notifications. */
  readonly owner: string
  readonly hasMarkup: boolean
}

/** Undefined where nothing shows notifications with buttons. */
async function findDesktop(bus: Bus): Promise<Desktop | undefined> {
  const [owner] = await bus.call(toBus('GetNameOwner', NAME)).catch(() => [])
  if (typeof owner !== 'string') return undefined
  // Not by its name: another program could send us the same signals, but not as this one.
  await bus.call(toBus('AddMatch', `type='signal',sender='${owner}',interface='${NAME}'`))
  const [capabilities] = await bus.call(toDesktop('GetCapabilities'))
  if (!Array.isArray(capabilities) || !capabilities.includes('actions')) return undefined
  return { owner, hasMarkup: capabilities.includes('body-markup') }
}

/** Returns the notification's number. */
async function show(bus: Bus, text: string, hasMarkup: boolean): Promise<unknown> {
  const [summary = '', ...rest] = text.split('\n')
  const body = hasMarkup ? escapeMarkup(rest.join('\n')) : rest.join('\n')
  const actions = ['deny', 'Deny', 'allow', 'Allow']
  const hints = [
    ['urgency', ['y', CRITICAL]],
    ['transient', ['b', true]],
  ]
  const values = ['keytool', 0, 'dialog-password', summary, body, actions, hints, NEVER]
  const [id] = await bus.call(toDesktop('Notify', NOTIFY, values))
  return id
}

/** What the desktop has said of the notification by now; undefined: nothing. */
function answerIn(heard: readonly BusMessage[], owner: string, id: unknown): boolean | undefined {
  const said = heard.find(
    ({ sender, interface: from, member, body }) =>
      sender === owner &&
      from === NAME &&
      (member === 'ActionInvoked' || member === 'NotificationClosed') &&
      body[0] === id,
  )
  return said && said.member === 'ActionInvoked' && said.body[1] === 'allow'
}

function toDesktop(member: string, signature = '', body: readonly unknown[] = []): BusCall {
  const call = { destination: NAME, path: '/org/freedesktop/Notifications', interface: NAME, member }
  return signature === '' ? call : { ...call, signature, body }
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }

function escapeMarkup(text: string): string {
  return text.replace(/[&<>]/g, character => entities[character] ?? '')
}
