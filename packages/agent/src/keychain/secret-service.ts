import { isKeytoolError } from '@keytool/keygen'
import { type Bus, type BusCall, connectBus, toBus } from '../platform/bus.js'
import type { Environment } from '../platform/places.js'
import { isSilent, noKeychain } from './answers.js'
import type { KeychainState } from './keychain.js'

/** The Secret Service API of freedesktop.org: what libsecret does not tell, namely why there is no answer. */
export interface SecretService {
  /** Of the keyring that new entries go to. */
  state(): Promise<Exclude<KeychainState, 'none'>>
  /** Whether an entry of libsecret's can be read, waits behind a lock, or is nowhere to be seen. */
  look(attributes: Readonly<Record<string, string>>): Promise<'there' | 'locked' | 'missing'>
  close(): void
}

const NAME = 'org.freedesktop.secrets'
const ROOT = '/org/freedesktop/secrets'
/** What the service calls an object that is not there. */
const NOTHING = '/'
/** libsecret looks for this besides, so what is found here it finds. */
const SCHEMA = { 'xdg:schema': 'org.freedesktop.Secret.Generic' }

/**
 * Finds the service on the session bus; where the bus can start it, it is started, as libsecret would have it.
 * @param timeout milliseconds for each answer
 * @throws KeytoolError `unreachable`: there is none
 */
export async function connectSecretService(env: Environment, timeout: number): Promise<SecretService> {
  const address = addressOf(env)
  if (address === undefined) throw noKeychain('no session bus is known: DBUS_SESSION_BUS_ADDRESS is not set')
  const bus = await connectBus(address, { timeout, onSignal: ignore, onEnd: ignore }).catch(cause => {
    throw noKeychain('the session bus does not answer', cause)
  })
  try {
    const [isRunning] = await ask(bus, toBus('NameHasOwner', NAME))
    // A bus says no to this also where the service runs that it could not start.
    if (isRunning !== true) await ask(bus, { ...toBus('StartServiceByName'), signature: 'su', body: [NAME, 0] })
  } catch (error) {
    bus.close()
    throw error
  }
  return {
    async state() {
      const [keyring] = await ask(bus, ofService('ReadAlias', 's', ['default']))
      if (typeof keyring !== 'string' || keyring === NOTHING) {
        throw noKeychain('the keyring service has no default keyring yet')
      }
      const [value] = await ask(bus, {
        destination: NAME,
        path: keyring,
        interface: 'org.freedesktop.DBus.Properties',
        member: 'Get',
        signature: 'ss',
        body: ['org.freedesktop.Secret.Collection', 'Locked'],
      })
      return isTrue(value) ? 'locked' : 'unlocked'
    },
    async look(attributes) {
      const [open, locked] = await ask(
        bus,
        ofService('SearchItems', 'a{ss}', [Object.entries({ ...SCHEMA, ...attributes })]),
      )
      if (Array.isArray(open) && open.length > 0) return 'there'
      return Array.isArray(locked) && locked.length > 0 ? 'locked' : 'missing'
    },
    close: () => bus.close(),
  }
}

/** As libsecret finds it, but for a bus that X11 knows of: that one it would start a program for. */
function addressOf(env: Environment): string | undefined {
  const runtime = env['XDG_RUNTIME_DIR']
  return env['DBUS_SESSION_BUS_ADDRESS'] || (runtime ? `unix:path=${runtime}/bus` : undefined)
}

function ofService(member: string, signature: string, body: readonly unknown[]): BusCall {
  return { destination: NAME, path: ROOT, interface: 'org.freedesktop.Secret.Service', member, signature, body }
}

async function ask(bus: Bus, call: BusCall): Promise<readonly unknown[]> {
  try {
    return await bus.call(call)
  } catch (error) {
    const isNo = isKeytoolError(error) && error.code === 'refused'
    throw isNo ? noKeychain('no keyring service runs in this session', error) : isSilent('the keyring hangs', error)
  }
}

/** A variant, as the codec reads it: `[its type, [value]]`. */
function isTrue(variant: unknown): boolean {
  return Array.isArray(variant) && Array.isArray(variant[1]) && variant[1][0] === true
}

function ignore(): void {}
