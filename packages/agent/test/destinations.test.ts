import { generate, type PrivateKey, type PublicKey } from '@keytool/keygen'
import { SessionBinding } from '../src/gates/binding.js'
import { createDestinations } from '../src/gates/destinations.js'
import type { HeldKey, Use } from '../src/gates/gate.js'
import { parseDestination, resolveDestination } from '../src/hosts/destination-spec.js'
import type { Purpose } from '../src/purpose.js'
import type { Destination } from '../src/terms.js'
import { type Claims, certify, makeBind } from './hosts.js'

const NAMES = ['a', 'b', 'c', 'd', 'e', 'x', 'ca', 'rsaca', 'user']
const NOW = 1_800_000_000n
const gate = createDestinations({ now: () => new Date(Number(NOW) * 1000 + 999) })

const keys = new Map<string, PrivateKey>()
/** The hosts d and e show a certificate. */
const certificates = new Map<string, PublicKey>()

beforeAll(async () => {
  for (const name of NAMES) keys.set(name, await generate(name === 'rsaca' ? 'rsa' : 'ed25519'))
  for (const name of ['d', 'e']) {
    certificates.set(name, await certify(keyOf(name), keyOf('ca'), { principals: [`host_${name}`] }))
  }
})

function keyOf(name: string): PrivateKey {
  const key = keys.get(name)
  if (!key) throw new Error(`no key ${name}`)
  return key
}

function hostKeyOf(name: string): PublicKey {
  return certificates.get(name) ?? keyOf(name).publicKey
}

/** known_hosts of the test: a, b, c, x by their keys, all by the authority. */
async function lookup(host: string) {
  const name = host.replace('host_', '')
  const authority = { key: keyOf('ca').publicKey, isAuthority: true }
  return 'abcx'.includes(name) ? [{ key: keyOf(name).publicKey, isAuthority: false }, authority] : [authority]
}

/** A key with these destinations, as `ssh-add -h` takes them; without any it goes everywhere. */
async function held(...specs: string[]): Promise<HeldKey> {
  const identity = { blob: keyOf('user').publicKey.blob, comment: 'user' }
  if (specs.length === 0) return { identity, terms: {} }
  const destinations = await Promise.all(specs.map(spec => resolveDestination(parseDestination(spec), lookup)))
  return { identity, terms: { destinations } }
}

function withDestinations(destinations: readonly Destination[]): HeldKey {
  return { identity: { blob: keyOf('user').publicKey.blob, comment: 'user' }, terms: { destinations } }
}

/**
 * A connection along these hosts, such as `a>b>`: the agent is forwarded to all but the last one, which is logged in to;
 * with a `>` at the end to that one, too. Empty: not bound.
 */
async function bindAlong(way: string): Promise<SessionBinding> {
  const binding = new SessionBinding()
  const hosts = way.split('>')
  for (const [index, name] of hosts.entries()) {
    if (name === '') continue
    const forwarding = index < hosts.length - 1
    const certificate = certificates.get(name)
    await binding.bind(
      await makeBind(keyOf(name), Buffer.from(`session ${index}`), { forwarding, ...(certificate && { certificate }) }),
    )
  }
  return binding
}

type Login = Extract<Purpose, { kind: 'login' }>

/** The login that ssh asks for on this connection, or another. */
function loginOn(binding: SessionBinding, change: Partial<Login> = {}): Login {
  const last = binding.hops.at(-1)
  const { hostKey = keyOf('x').publicKey, sessionId = Buffer.from('session 0') } = last ?? {}
  return { kind: 'login', user: 'hana', sessionId, hostKey, ...change }
}

function signing(key: HeldKey, binding: SessionBinding, purpose: Purpose = loginOn(binding)): Use {
  return { action: 'sign', key, by: { binding }, purpose }
}

/** Why the gate says no; undefined when it lets pass. */
function refusal(use: Use): string | undefined {
  try {
    gate.pass(use)
    return undefined
  } catch (error) {
    expect(error).toMatchObject({ code: 'refused' })
    return (error as Error).message
  }
}

/** Listed; and what goes with that: removed, sealed. */
function isVisible(key: HeldKey, binding: SessionBinding): boolean {
  const visible = gate.shows?.(key, { binding }) ?? true
  const passes = (['remove', 'reencrypt'] as const).map(
    action => refusal({ action, key, by: { binding } }) === undefined,
  )
  expect(passes).toEqual([visible, visible])
  return visible
}

describe('a login', () => {
  const CHAIN = ['host_a', 'host_a>host_b', 'host_b>host_c', 'host_c>host_d', 'host_d>host_e']
  const USERS = ['host_a', 'host_a>hana@host_b', 'host_b>h*@host_c', 'host_c>ha?a@host_d']
  const CYCLE = [...CHAIN, 'host_b>host_a', 'host_a>host_a', 'host_a>host_c']

  test.each<[string, string[], string, RegExp | undefined]>([
    ['no destinations, no hop', [], '', undefined],
    ['no destinations, one hop', [], 'x', undefined],
    ['no destinations, four hops', [], 'x>a>x>b', undefined],
    ['a key of the host', ['host_a'], 'a', undefined],
    ['a certificate of the host', ['host_d'], 'd', undefined],
    ['one of two', ['host_b', 'host_a'], 'a', undefined],
    ['another host', ['host_a'], 'b', /to get to the host with the key SHA256:/],
    ['the certificate of another host', ['host_e'], 'd', /to get to the host with the key SHA256:/],
    ['not bound', ['host_a'], '', /does not say which host/],
    ['the user', ['hana@host_a'], 'a', undefined],
    ['any user', ['*@host_a'], 'a', undefined],
    ['a pattern of the user', ['h?n*@host_a'], 'a', undefined],
    ['another user', ['--BADUSER@host_a'], 'a', /as hana at host_a/],
    ['a pattern of other users', ['hana?@host_a'], 'a', /as hana at host_a/],
    ['another user here, but any there', ['root@host_a', 'host_b'], 'a', /as hana at host_a/],
    ['a user of two lines', ['root@host_a', 'hana@host_a'], 'a', undefined],
    ['forwarded on, not logged in', ['host_a', 'host_a>host_b'], 'a>', /forwarded to host_a, which is no login/],
    ['two hops', CHAIN, 'a>b', undefined],
    ['three hops', CHAIN, 'a>b>c', undefined],
    ['five hops, certificates at the end', CHAIN, 'a>b>c>d>e', undefined],
    ['a hop left out', CHAIN, 'a>c', /from host_a to get to host_c/],
    ['a second hop at once', CHAIN, 'b', /not be used to get to host_b/],
    ['not from the first', ['host_a'], 'a>b', /from host_a to get to the host with the key SHA256:/],
    ['from the first, but not to it', ['host_a>host_b'], 'a>b', /not be used to get to host_a/],
    ['a detour in the middle', CHAIN, 'a>x>b', /from host_a to get to the host with the key SHA256:/],
    ['back', CHAIN, 'a>b>a', /from host_b to get to host_a/],
    ['the wrong way round', ['host_b', 'host_a>host_b'], 'b>a', /from host_b to get to host_a/],
    ['users at each hop', USERS, 'a>b>c>d', undefined],
    ['a user who is another at a hop between', ['host_a', 'host_a>root@host_b', 'host_b>host_c'], 'a>b>c', undefined],
    ['another user at the last of two', ['host_a', 'host_a>root@host_b'], 'a>b', /as hana at host_b/],
    ['a circle that is not permitted', CHAIN, 'a>b>a>a>c>d>e', /from host_b to get to host_a/],
    ['a circle that is', CYCLE, 'a>b>a>a>c>d>e', undefined],
  ])('%s', async (_name, specs, way, trouble) => {
    const binding = await bindAlong(way)
    const found = refusal(signing(await held(...specs), binding))
    if (trouble) expect(found).toMatch(trouble)
    else expect(found).toBeUndefined()
  })

  type Change = Partial<Omit<Login, 'hostKey'>> & { readonly hostKey?: undefined }

  test.each<[string, string, Change, RegExp | undefined]>([
    ['of the session', 'a', {}, undefined],
    ['not bound to a host key, on the first hop', 'a', { hostKey: undefined }, undefined],
    [
      'not bound to a host key, through a forwarded agent',
      'a>b',
      { hostKey: undefined },
      /is not bound to a host's key/,
    ],
    ['of another session', 'a', { sessionId: Buffer.from('session 9') }, /another session/],
    ['of the session before', 'a>b', { sessionId: Buffer.from('session 0') }, /another session/],
    ['of a session whose id begins alike', 'a', { sessionId: Buffer.from('session 0+') }, /another session/],
    ['with an empty session id', 'a', { sessionId: Buffer.alloc(0) }, /another session/],
    ['without a user, where anybody may', 'a', { user: '' }, undefined],
  ])('%s', async (_name, way, change, trouble) => {
    const binding = await bindAlong(way)
    const { hostKey, ...rest } = { ...loginOn(binding), ...change }
    const purpose: Login = hostKey ? { ...rest, hostKey } : rest
    const found = refusal(signing(await held('host_a', 'host_a>host_b'), binding, purpose))
    if (trouble) expect(found).toMatch(trouble)
    else expect(found).toBeUndefined()
  })

  test.each(['a', 'a>b'])('bound to another host key: %s', async way => {
    const binding = await bindAlong(way)
    const login = loginOn(binding, { hostKey: hostKeyOf('x') })
    expect(refusal(signing(await held('host_a', 'host_a>host_b'), binding, login))).toMatch(/another host key/)
  })

  test("bound to the key of the host's certificate instead of the certificate: another host key", async () => {
    const binding = await bindAlong('d')
    const login = loginOn(binding, { hostKey: keyOf('d').publicKey })
    expect(refusal(signing(await held('host_d'), binding, login))).toMatch(/another host key/)
  })

  test('an empty user is a user: it has to fit', async () => {
    const binding = await bindAlong('a')
    expect(refusal(signing(await held('hana@host_a'), binding, loginOn(binding, { user: '' })))).toMatch(
      /as nobody at host_a/,
    )
  })

  test('`?` is one byte of a user, as in OpenSSH', async () => {
    const binding = await bindAlong('a')
    const login = loginOn(binding, { user: 'é' })
    expect(refusal(signing(await held('?@host_a'), binding, login))).toMatch(/as é at host_a/)
    expect(refusal(signing(await held('??@host_a'), binding, login))).toBeUndefined()
  })
})

test('a login with a certificate that is not held with the key', async () => {
  const binding = await bindAlong('a')
  const login = loginOn(binding, { certified: true })
  expect(refusal(signing(await held('host_a'), binding, login))).toMatch(/shows a certificate that is not held with it/)
  expect(refusal(signing(await held(), binding, login))).toBeUndefined()
})

test.each<[Purpose]>([[{ kind: 'sshsig', namespace: 'git' }], [{ kind: 'unknown' }]])(
  'what is no login: %j',
  async purpose => {
    const binding = await bindAlong('a')
    expect(refusal(signing(await held('host_a'), binding, purpose))).toMatch(/nothing but logins/)
    expect(refusal(signing(await held(), binding, purpose))).toBeUndefined()
  },
)

describe('listed, removed and sealed', () => {
  test.each<[string, string[], string, boolean]>([
    ['without destinations, from anywhere', [], 'a>b>', true],
    ['on the machine itself', ['host_a'], '', true],
    ['by whoever logs in where it leads', ['host_a'], 'a', true],
    ['by whoever logs in elsewhere', ['host_a'], 'b', false],
    ['at a host it leads to, but not from', ['host_a'], 'a>', false],
    ['at a host it leads from', ['host_a', 'host_a>host_b'], 'a>', true],
    ['at the last host of the way', ['host_a', 'host_a>host_b'], 'a>b>', false],
    ['at a host it leads from, but not to', ['host_b>host_a'], 'b>', false],
    ['at a host with nothing to do with it', ['host_x'], 'a>', false],
    ['by a login from the first host', ['host_a', 'host_a>host_b'], 'a>b', true],
    ['by a login that is not permitted from there', ['host_a', 'host_a>host_b'], 'a>c', false],
    ['whatever the user', ['root@host_a', 'host_a>root@host_b'], 'a>', true],
    ['whatever the user, by a login', ['root@host_a'], 'a', true],
    ['at a host with a certificate', ['host_d', 'host_d>host_e'], 'd>', true],
    ['at the certificate of another host', ['host_e', 'host_e>host_d'], 'd>', false],
  ])('%s', async (_name, specs, way, visible) => {
    expect(isVisible(await held(...specs), await bindAlong(way))).toBe(visible)
  })

  test('along a chain it is seen up to the last host but one', async () => {
    const chain = ['host_a', 'host_a>host_b', 'host_b>host_c', 'host_c>host_d', 'host_d>host_e']
    const key = await held(...chain)
    const ways = ['', 'a>', 'a>b>', 'a>b>c>', 'a>b>c>d>', 'a>b>c>d>e>']
    const seen = []
    for (const way of ways) seen.push(isVisible(key, await bindAlong(way)))
    expect(seen).toEqual([true, true, true, true, true, false])
  })

  test('what can not be told from the key itself is not its affair: adding, and all at once', async () => {
    const by = { binding: await bindAlong('x>') }
    expect(refusal({ action: 'add', key: await held('host_a'), by })).toBeUndefined()
    for (const action of ['remove-all', 'reencrypt-all', 'lock', 'unlock'] as const) {
      expect(refusal({ action, by })).toBeUndefined()
    }
  })
})

describe('host certificates', () => {
  const opens: [string, Claims][] = [
    ['for the host', { principals: ['host_w'] }],
    ['for several', { principals: ['other', 'host_w'] }],
    ['for a pattern', { principals: ['host_?'] }],
    ['valid from now on', { principals: ['host_w'], after: NOW }],
    ['valid for one more second', { principals: ['host_w'], before: NOW + 1n }],
  ]
  const refuses: [string, Claims][] = [
    ['for no host', {}],
    ['for another host', { principals: ['host_v'] }],
    ['for the host in large letters', { principals: ['HOST_W'] }],
    ['for a pattern of others', { principals: ['host_??'] }],
    ["a user's", { principals: ['host_w'], kind: 1 }],
    ['valid a second from now', { principals: ['host_w'], after: NOW + 1n }],
    ['valid until now', { principals: ['host_w'], before: NOW }],
    ['with a critical option', { principals: ['host_w'], critical: Buffer.from('\0\0\0\x01x\0\0\0\0', 'latin1') }],
  ]

  /** Whether a key for host_w may be used to log in to a host that shows this. */
  async function opensFor(claims: Claims, authority = 'ca', listed: readonly [string, boolean][] = [['ca', true]]) {
    const certificate = await certify(keyOf('x'), keyOf(authority), claims)
    const binding = new SessionBinding()
    await binding.bind(await makeBind(keyOf('x'), Buffer.from('s'), { certificate }))
    const hostKeys = listed.map(([name, isAuthority]) => ({ key: keyOf(name).publicKey, isAuthority }))
    const origin = { user: '', host: '', keys: [] }
    const key = withDestinations([{ from: origin, to: { user: '', host: 'host_w', keys: hostKeys } }])
    return refusal(signing(key, binding)) === undefined
  }

  test.each(opens)('%s: opens', async (_name, claims) => {
    expect(await opensFor(claims)).toBe(true)
  })

  test.each(refuses)('%s: refused', async (_name, claims) => {
    expect(await opensFor(claims)).toBe(false)
  })

  test.each<[string, string, [string, boolean][], boolean]>([
    [
      'of one of two authorities',
      'ca',
      [
        ['a', true],
        ['ca', true],
      ],
      true,
    ],
    ['of an RSA authority, by SHA-2', 'rsaca', [['rsaca', true]], true],
    ['of another authority', 'b', [['ca', true]], false],
    ['of a key that is a host, not an authority', 'ca', [['ca', false]], false],
    ['of a key that is known as the host itself', 'ca', [['x', false]], false],
  ])('%s', async (_name, authority, listed, opened) => {
    expect(await opensFor({ principals: ['host_w'] }, authority, listed)).toBe(opened)
  })

  test('a plain key that is an authority is no host', async () => {
    const origin = { user: '', host: '', keys: [] }
    const to = { user: '', host: 'host_a', keys: [{ key: keyOf('a').publicKey, isAuthority: true }] }
    expect(refusal(signing(withDestinations([{ from: origin, to }]), await bindAlong('a')))).toMatch(/to get to/)
  })

  test('one that expires meanwhile leads nowhere any more', async () => {
    let time = Number(NOW)
    const moving = createDestinations({ now: () => new Date(time * 1000) })
    const certificate = await certify(keyOf('d'), keyOf('ca'), { principals: ['host_d'], before: NOW + 10n })
    const binding = new SessionBinding()
    await binding.bind(await makeBind(keyOf('d'), Buffer.from('s'), { certificate }))
    const key = await held('host_d')
    expect(moving.shows?.(key, { binding })).toBe(true)
    time += 10
    expect(moving.shows?.(key, { binding })).toBe(false)
    expect(() => moving.pass(signing(key, binding))).toThrow(/to get to/)
  })
})

describe('a connection with a bind that was refused', () => {
  async function spoil(way: string): Promise<SessionBinding> {
    const binding = await bindAlong(way)
    const bad = { ...(await makeBind(keyOf('a'), Buffer.from('s'))), sessionId: Buffer.from('t') }
    await expect(binding.bind(bad)).rejects.toMatchObject({ code: 'refused' })
    return binding
  }

  test.each(['', 'a', 'a>'])('bound along "%s" before: no signature, of no key', async way => {
    const binding = await spoil(way)
    for (const key of [await held(), await held('host_a', 'host_a>host_b')]) {
      for (const purpose of [loginOn(binding), { kind: 'unknown' } as const]) {
        expect(refusal(signing(key, binding, purpose))).toMatch(/session of this connection was refused/)
      }
    }
  })

  test('sees no key that is restricted, and removes none', async () => {
    const binding = await spoil('')
    expect(isVisible(await held('host_a'), binding)).toBe(false)
    expect(isVisible(await held(), binding)).toBe(true)
  })
})

test.each([
  ['a', 'another', false],
  ['x>a', 'another', false],
  ['a', 'session 0', true],
  ['a>', 'another', true],
  ['', 'another', true],
])('without destinations: bound along "%s", a login of the session "%s" passes: %s', async (way, session, passes) => {
  const binding = await bindAlong(way)
  const key = await held()
  const login = loginOn(binding, { sessionId: Buffer.from(session) })
  const expected = passes ? undefined : 'the login is of another session than the connection is bound to'
  expect(refusal(signing(key, binding, login))).toBe(expected)
  expect(refusal(signing(key, binding, { kind: 'sshsig', namespace: 'git' }))).toBeUndefined()
})

test('a login hop that something lies beyond, which no bind brings about: refused', async () => {
  const { hops } = await bindAlong('a>b')
  const binding = { hops: hops.map(hop => ({ ...hop, forwarding: false })), failed: false }
  const use = { ...signing(await held('host_a', 'host_a>host_b'), await bindAlong('a>b')), by: { binding } }
  expect(refusal(use)).toMatch(/not forwarded to host_a/)
})

test('an empty list of destinations permits nothing, but is seen on the machine itself', async () => {
  const key = withDestinations([])
  expect(refusal(signing(key, await bindAlong('a')))).toMatch(/to get to/)
  expect(refusal(signing(key, await bindAlong('')))).toMatch(/does not say which host/)
  expect(isVisible(key, await bindAlong('a'))).toBe(false)
  expect(isVisible(key, await bindAlong(''))).toBe(true)
})

test('a refusal shows foreign names escaped and cut', async () => {
  const [destination] = (await held('root@host_a')).terms.destinations ?? []
  if (!destination) throw new Error('no destination')
  const host = `host_a\n\u202e${'h'.repeat(300)}`
  const key = withDestinations([{ ...destination, to: { ...destination.to, host } }])
  const binding = await bindAlong('a')
  const text = refusal(signing(key, binding, loginOn(binding, { user: 'ha\u001b[2Jna' })))
  expect(text).toMatch(/as ha\\u\{1b\}\[2Jna at host_a\\u\{a\}\\u\{202e\}h+…$/)
  expect(text?.length).toBeLessThan(200)
})
