import { fingerprint, generate, type PrivateKey } from '@keytool/keygen'
import type { HeldKey, Use } from '../src/gates/gate.js'
import { createPolicyGate, mayLogInTo } from '../src/gates/policy.js'
import { defaultPolicy, type KeyRule, type Policy } from '../src/policy/policy.js'
import type { Purpose } from '../src/purpose.js'
import type { Bound, Caller, Peer } from '../src/who.js'

let work: PrivateKey
let github: PrivateKey
let evil: PrivateKey

beforeAll(async () => {
  const made = await Promise.all(['id_work', 'github', 'evil'].map(comment => generate('ed25519', { comment })))
  ;[work, github, evil] = made as [PrivateKey, PrivateKey, PrivateKey]
})

const git: Peer = {
  pid: 4243,
  programs: [
    { pid: 4243, name: 'ssh', path: '/usr/bin/ssh' },
    { pid: 4242, name: 'git', path: '/usr/bin/git' },
  ],
}

const session = Buffer.alloc(32, 7)
const held = (): HeldKey => ({ identity: { blob: work.publicKey.blob, comment: work.comment }, terms: {} })
const hop = (host: PrivateKey, forwarding = false, sessionId = session): Bound => ({
  hostKey: host.publicKey,
  sessionId,
  forwarding,
})
const by = (hops: readonly Bound[] = [], failed = false, peer: Peer | undefined = git): Caller => ({
  binding: { hops, failed },
  ...(peer && { peer }),
})
const login = (host?: PrivateKey, sessionId = session): Purpose => ({
  kind: 'login',
  user: 'git',
  sessionId,
  ...(host && { hostKey: host.publicKey }),
})

function gateOf(given: Partial<Policy> & { rule?: KeyRule }) {
  const { rule, ...rest } = given
  const keys = rule ? [{ ...rule, fingerprint: fingerprint(work.publicKey) }] : []
  const policy = { ...defaultPolicy, keys, ...rest }
  return createPolicyGate({
    policy: () => policy,
    names: key =>
      key.equals(github.publicKey) ? ['github.com', '192.0.2.1'] : key.equals(evil.publicKey) ? ['evil.example'] : [],
  })
}

const sign = (purpose: Purpose, who: Caller): Use => ({ action: 'sign', key: held(), purpose, by: who })

/** What is refused, and why; undefined where it passes. */
function refusalOf(gate: ReturnType<typeof gateOf>, use: Use): string | undefined {
  try {
    gate.pass(use)
    return undefined
  } catch (error) {
    expect(error).toMatchObject({ code: 'refused', hint: 'agent.json says who may do what' })
    return (error as Error).message
  }
}

describe('programs', () => {
  test.each([['git'], ['ssh'], ['/usr/bin/ssh'], ['/usr/bin/git']])('%s may', program => {
    const gate = gateOf({ rule: { programs: ['other', program] } })
    expect(refusalOf(gate, sign(login(), by()))).toBeUndefined()
    expect(gate.shows?.(held(), by([hop(evil)]))).toBe(true)
  })

  test.each([['rsync'], ['/usr/bin/ss'], ['it'], ['/bin/ssh']])(
    'only %s may: refused, and hidden from a login',
    program => {
      const gate = gateOf({ rule: { programs: [program] } })
      expect(refusalOf(gate, sign(login(), by()))).toBe(`id_work is only for ${program}`)
      expect(gate.shows?.(held(), by([hop(evil)]))).toBe(false)
      expect(gate.shows?.(held(), by())).toBe(true)
    },
  )

  test('nobody known is none of them', () => {
    const gate = gateOf({ rule: { programs: ['git'] } })
    const nobody: Caller = { binding: { hops: [], failed: false } }
    expect(refusalOf(gate, sign(login(), nobody))).toBe('id_work is only for git')
    expect(refusalOf(gate, sign(login(), by([], false, { programs: [] })))).toBe('id_work is only for git')
  })
})

describe('hosts', () => {
  const rule = { hosts: ['*.example.com', 'github.com'] }
  const only = 'id_work is only for logins to *.example.com, github.com'

  test('the host that the connection is bound to, proved by the session', () => {
    const gate = gateOf({ rule })
    expect(refusalOf(gate, sign(login(), by([hop(github)])))).toBeUndefined()
    expect(refusalOf(gate, sign(login(github), by([hop(github)])))).toBeUndefined()
    expect(gate.shows?.(held(), by([hop(github)]))).toBe(true)
  })

  test('another host: hidden, and refused by its name, the user, the program and the key', () => {
    const gate = gateOf({ rule })
    const use = sign(login(evil), by([hop(evil)]))
    expect(() => gate.pass(use)).toThrow(
      expect.objectContaining({
        message: `${only}, not to evil.example`,
        reason: 'git (pid 4242) wants id_work for git@evil.example',
      }),
    )
    expect(gate.shows?.(held(), by([hop(evil)]))).toBe(false)
  })

  test('a host that nobody has named is none of them', async () => {
    const unknown = await generate('ed25519')
    const gate = gateOf({ rule: { hosts: ['*'] } })
    expect(refusalOf(gate, sign(login(), by([hop(unknown)])))).toContain(fingerprint(unknown.publicKey))
    expect(gate.shows?.(held(), by([hop(unknown)]))).toBe(false)
  })

  test('bound to no host: shown, and refused', () => {
    const gate = gateOf({ rule })
    expect(refusalOf(gate, sign(login(github), by()))).toBe(`${only}, and where this one goes is not proved`)
    expect(gate.shows?.(held(), by())).toBe(true)
  })

  test.each(['sshsig', 'unknown'] as const)('%s is no login', kind => {
    const purpose: Purpose = kind === 'sshsig' ? { kind, namespace: 'git' } : { kind }
    expect(refusalOf(gateOf({ rule }), sign(purpose, by([hop(github)])))).toBe(only)
  })

  test('the last hop counts: what it came through does not', () => {
    const gate = gateOf({ rule })
    const other = Buffer.alloc(32, 9)
    const through = by([hop(evil, true, other), hop(github)])
    expect(refusalOf(gate, sign(login(github), through))).toBeUndefined()
    expect(gate.shows?.(held(), through)).toBe(true)
    const onwards = by([hop(github, true, other), hop(evil)])
    expect(refusalOf(gate, sign(login(evil), onwards))).toBe(`${only}, not to evil.example`)
    expect(gate.shows?.(held(), onwards)).toBe(false)
  })

  test.each([
    ['the session is another', () => sign(login(github, Buffer.alloc(32, 1)), by([hop(github)]))],
    ['the data names another host', () => sign(login(evil), by([hop(github)]))],
    [
      'it comes through a forwarded agent and names no host',
      () => sign(login(), by([hop(evil, true, Buffer.from('x')), hop(github)])),
    ],
    ['the host has only been forwarded to', () => sign(login(github), by([hop(github, true)]))],
    ['a bind was refused', () => sign(login(github), by([hop(github)], true))],
  ])('refused where %s', (_, use) => {
    expect(refusalOf(gateOf({ rule }), use())).toBe(`${only}, and where this one goes is not proved`)
  })

  test('a host that the agent is only forwarded to sees no such key', () => {
    expect(gateOf({ rule }).shows?.(held(), by([hop(github, true)]))).toBe(false)
  })

  test('many hosts are named in part', () => {
    const hosts = Array.from({ length: 9 }, (_, i) => `h${i}`)
    expect(refusalOf(gateOf({ rule: { hosts } }), sign({ kind: 'unknown' }, by()))).toBe(
      'id_work is only for logins to h0, h1, h2 and 6 more',
    )
  })

  test('mayLogInTo says the same by name', () => {
    const policy = { ...defaultPolicy, keys: [{ ...rule, fingerprint: fingerprint(work.publicKey) }] }
    expect(mayLogInTo(policy, held(), ['192.0.2.1', 'github.com'])).toBe(true)
    expect(mayLogInTo(policy, held(), ['example.com'])).toBe(false)
    expect(mayLogInTo(defaultPolicy, held(), [])).toBe(true)
  })
})

describe('data of an unknown kind', () => {
  test.each([
    ['local', [], false, true],
    ['local', ['github'], false, false],
    ['local', ['forwarded'], false, false],
    ['local', [], true, false],
    ['never', [], false, false],
  ] as const)('%s, bound to %j, failed %j: %j', (unknownData, hosts, failed, isSigned) => {
    const hops = hosts.map(host => hop(github, host === 'forwarded'))
    const use = sign({ kind: 'unknown' }, by(hops, failed))
    expect(refusalOf(gateOf({ unknownData }), use) === undefined).toBe(isSigned)
  })

  test('logins and SSHSIG pass everywhere', () => {
    const gate = gateOf({ unknownData: 'never' })
    for (const purpose of [login(), { kind: 'sshsig', namespace: 'git' }] satisfies Purpose[]) {
      for (const who of [by(), by([hop(github)]), by([hop(evil, true)])]) {
        expect(refusalOf(gate, sign(purpose, who))).toBeUndefined()
      }
    }
  })
})

describe('through a forwarded agent', () => {
  const far = () => by([hop(evil, true)])
  const actions = ['add', 'remove', 'remove-all', 'reencrypt', 'reencrypt-all', 'lock', 'unlock', 'unseal'] as const
  const needs = {
    add: ['add'],
    remove: ['remove', 'remove-all'],
    lock: ['reencrypt', 'reencrypt-all', 'lock', 'unlock', 'unseal'],
  }
  const useOf = (action: (typeof actions)[number], who: Caller) => ({ action, key: held(), by: who }) as Use

  test.each(actions)('%s is refused, and passes on this machine', action => {
    const gate = gateOf({})
    expect(refusalOf(gate, useOf(action, far()))).toMatch(/^who comes through a forwarded agent \w+ no/)
    expect(refusalOf(gate, useOf(action, by([], true)))).toBeDefined()
    expect(refusalOf(gate, useOf(action, by([hop(evil, true), hop(github)])))).toBeDefined()
    expect(refusalOf(gate, useOf(action, by()))).toBeUndefined()
    expect(refusalOf(gate, useOf(action, by([hop(github)])))).toBeUndefined()
  })

  test.each(Object.entries(needs))('the policy lets %s: %j, and nothing else', (name, allowed) => {
    const gate = gateOf({ forwarded: { ...defaultPolicy.forwarded, [name]: true } })
    const passed = actions.filter(action => refusalOf(gate, useOf(action, far())) === undefined)
    expect(passed).toEqual(allowed)
  })
})
