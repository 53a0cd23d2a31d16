import { generate, type PrivateKey } from '@keytool/keygen'
import { type Attempt, Authentication, type AuthOptions, type PasswordPrompt } from '../src/connection/auth.js'
import { type AuthMethod, type AuthSettings, authMethodsIn } from '../src/connection/auth-methods.js'

// What ssh itself does with these settings is in test/tunnel-ssh-config-limits.test.ts.

const ALL = ['publickey', 'keyboard-interactive', 'password']
let key: PrivateKey

beforeAll(async () => {
  key = await generate('ed25519')
})

/** What is tried against a server that says no to all of it, and how it ends. */
async function tryAll(options: Partial<AuthOptions>, methods: readonly string[] = ALL) {
  const prompts: PasswordPrompt[] = []
  const askPassword = async (prompt: PasswordPrompt) => {
    prompts.push(prompt)
    return 'wrong'
  }
  const authentication = new Authentication({ user: 'hana', host: 'shop', signers: [key], askPassword, ...options })
  const tried: Attempt['method'][] = []
  for (let count = 0; count < 20; count++) {
    const attempt = await authentication
      .next(count === 0 ? undefined : { methods, partial: false })
      .catch(error => error)
    if (attempt instanceof Error) return { tried: tried.slice(1), prompts, error: attempt }
    if (attempt.method === 'keyboard-interactive') await attempt.answer([{ prompt: 'Password:' }])
    tried.push(attempt.method)
  }
  throw new Error('it goes on and on')
}

test.each<[readonly AuthMethod[] | undefined, readonly string[]]>([
  [undefined, ['publickey', ...Array(3).fill('keyboard-interactive')]],
  [
    ['password', 'publickey'],
    [...Array(3).fill('password'), 'publickey'],
  ],
  [['password'], Array(3).fill('password')],
  [['publickey'], ['publickey']],
  [[], []],
])('of the methods %j these are tried, in this order', async (methods, expected) => {
  const { tried, prompts } = await tryAll(methods ? { methods } : {})
  expect(tried).toEqual(expected)
  expect(prompts).toHaveLength(expected.filter(method => method !== 'publickey').length)
})

test.each([0, 1, 2])('%d tries are no more than that, and each is told how many are left', async tries => {
  const { tried, prompts } = await tryAll({ tries, methods: ['password'] })
  expect(tried).toHaveLength(tries)
  expect(prompts.map(({ left }) => left)).toEqual(Array.from({ length: tries }, (_, index) => tries - index))
})

test('an error says what was left out of what the server takes', async () => {
  expect((await tryAll({ methods: [] })).error).toMatchObject({
    code: 'secret-needed',
    message: 'shop takes nothing of hana that may be used',
    reason: `it offers ${ALL.join(', ')}; ssh_config leaves out ${ALL.join(', ')}`,
    hint: 'to allow it once: -o PubkeyAuthentication=yes -o PreferredAuthentications=publickey',
  })
  expect((await tryAll({ methods: ['publickey'] }, ['publickey', 'password'])).error).toMatchObject({
    code: 'secret-wrong',
    reason: 'it offers publickey, password; ssh_config leaves out password',
  })
  expect((await tryAll({ methods: ['publickey'] }, ['publickey', 'hostbased'])).error).toMatchObject({
    reason: 'it offers publickey, hostbased',
  })
})

test('a method that is left out is not used after another was right, either', async () => {
  const authentication = new Authentication({
    user: 'hana',
    host: 'shop',
    signers: [key],
    askPassword: () => Promise.reject(new Error('nobody is to be asked')),
    methods: ['publickey'],
  })
  await authentication.next()
  await authentication.next({ methods: ALL, partial: false })
  await expect(authentication.next({ methods: ['password'], partial: true })).rejects.toMatchObject({
    message: 'shop took the key of hana, and wants more',
    reason: expect.stringContaining('ssh_config leaves out keyboard-interactive, password'),
  })
})

test.each<[AuthSettings, readonly AuthMethod[]]>([
  [{}, ['publickey', 'keyboard-interactive', 'password']],
  [{ passwordAuthentication: false }, ['publickey', 'keyboard-interactive']],
  [{ kbdInteractiveAuthentication: false, pubkeyAuthentication: false }, ['password']],
  [{ preferredAuthentications: ['password', 'gssapi-with-mic', 'publickey', 'password'] }, ['password', 'publickey']],
  [{ preferredAuthentications: ['password'], passwordAuthentication: false }, []],
  [{ preferredAuthentications: ['none', 'constructor'] }, []],
])('%j', (settings, expected) => {
  expect(authMethodsIn(settings)).toEqual(expected)
})
