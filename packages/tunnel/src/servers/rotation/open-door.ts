import { isKeytoolError, KeytoolError, type Signer, showForeign } from '@keytool/keygen'
import { HalfLogin } from '../../connection/auth.js'
import { connect } from '../../connection/connect.js'
import type { Connection } from '../../connection/connection.js'
import { findAdmission } from '../admission.js'
import type { KeyFile } from '../key-file.js'
import { openKeyFile } from '../open-key-file.js'
import { type Again, withoutCertificate } from '../verify.js'
import type { RotationDoor } from './door.js'

/** A server that let us in, and all it takes to get in once more with another key. */
export interface RotationServer {
  readonly connection: Connection
  readonly again: Again
}

/** A key that opens no file: a forced command, nologin. It was let in all the same. */
const withoutFile: readonly string[] = ['unsupported', 'refused']

/** The door of a real server. Whoever opens it closes it; `connection` stays open. */
export function openDoor({ connection, again }: RotationServer): RotationDoor & { close(): Promise<void> } {
  const opened = new Map<string, Promise<Connection>>()
  let shared: Promise<KeyFile> | undefined
  const file = () => {
    shared ??= openKeyFile(connection)
    return shared
  }
  const enter = (signer: Signer) => {
    const name = signer.publicKey.blob.toString('base64')
    const known = opened.get(name)
    if (known) return known
    const own = enterAlone(again, signer)
    opened.set(name, own)
    // What was refused may be let in later.
    own.catch(() => opened.delete(name))
    return own
  }
  return {
    file,
    async fileBy(signer) {
      const own = await enter(signer).catch(error => {
        if (error instanceof HalfLogin) return undefined
        throw error
      })
      // The key was right, and the server wants more of everybody: nobody is let in by a key alone.
      if (!own) return file()
      return openKeyFile(own).catch(error => {
        if (!isKeytoolError(error) || !withoutFile.includes(error.code)) throw error
        return file()
      })
    },
    admits: (key, signer) => findAdmission(again, key, signer),
    async close() {
      for (const own of await Promise.allSettled(opened.values())) {
        if (own.status === 'fulfilled') await own.value.close()
      }
    },
  }
}

async function enterAlone(again: RotationServer['again'], signer: Signer): Promise<Connection> {
  const signers = [withoutCertificate(signer)]
  const connection = await connect({ ...again, methods: ['publickey'], signers, askPassword: undefined })
  if (connection.admission.method === 'publickey') return connection
  await connection.close()
  throw new KeytoolError('failed', `${showForeign(again.host)} lets ${showForeign(again.user)} in without any key`)
}
