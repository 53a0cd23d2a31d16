import ssh2, { type AuthContext, type PasswordAuthContext, type PublicKeyAuthContext } from 'ssh2'
import { readAuthorizedKeys } from './authorized-keys.js'
import { sameSecret } from './secret.js'

export interface Login {
  readonly user: string
  readonly password: string
  readonly home: string
}

type Method = 'password' | 'publickey'

const methods: Method[] = ['publickey', 'password']

/** Answers one attempt to log in: accepted or refused, never left open. */
export async function authenticate(context: AuthContext, login: Login): Promise<void> {
  if (await isProved(context, login).catch(() => false)) context.accept()
  else context.reject(methods)
}

async function isProved(context: AuthContext, login: Login): Promise<boolean> {
  const sameUser = sameSecret(context.username, login.user)
  if (context.method === 'password') return isPassword(context, login) && sameUser
  if (context.method === 'publickey') return (await isAuthorizedKey(context, login)) && sameUser
  return false
}

function isPassword(context: PasswordAuthContext, login: Login): boolean {
  return sameSecret(context.password, login.password)
}

/**
 * RFC 4252 section 7. Without a signature the client only asks whether the key would do. The file is read at each
 * attempt, so that a key works as soon as it stands there and no longer than that.
 */
async function isAuthorizedKey(context: PublicKeyAuthContext, login: Login): Promise<boolean> {
  const blobs = await readAuthorizedKeys(login.home)
  if (!blobs.some(blob => blob.equals(context.key.data))) return false
  if (context.signature === undefined) return true
  if (context.blob === undefined) return false
  const key = ssh2.utils.parseKey(context.key.data)
  if (key instanceof Error || !('verify' in key)) return false
  return key.verify(context.blob, context.signature, context.hashAlgo) === true
}
