import type { AlgorithmLists } from '../src/connection/algorithm-lists.js'
import { caSchemesIn, checkWeak, makeOffer, type Offer } from '../src/connection/algorithms.js'
import { type Lists, readKexInit, replaceLists } from '../src/connection/kex/kexinit.js'
import { explainNoMatch } from '../src/connection/no-match.js'
import { kexInit } from './kex-server.js'

const offer = (weak: readonly string[] = []): Offer => makeOffer({ knownTypes: [], weak })

/** What a server of today offers, with these lists instead. */
function server(changed: Partial<Lists> = {}): Lists {
  const both = { cipher: ['aes128-ctr'], mac: ['hmac-sha2-256'] }
  return {
    kex: ['curve25519-sha256', 'kex-strict-s-v00@openssh.com'],
    hostKey: ['ssh-ed25519'],
    cipherC2s: both.cipher,
    cipherS2c: both.cipher,
    macC2s: both.mac,
    macS2c: both.mac,
    compressC2s: ['none'],
    compressS2c: ['none'],
    languagesC2s: [],
    languagesS2c: [],
    ...changed,
  }
}

test('nothing weak is offered unless it is named, and then last', () => {
  const all = (made: Offer) => [made.kex, made.serverHostKey, made.cipher, made.hmac, made.compress].flat()
  expect(all(offer()).filter(name => /sha1|cbc|dss|group1-|arcfour|md5|^ssh-rsa$/.test(name))).toEqual([])
  const weak = ['hmac-sha1', 'ssh-rsa', 'diffie-hellman-group14-sha1', '3des-cbc']
  const made = offer(weak)
  expect([made.kex.at(-1), made.serverHostKey.at(-1), made.cipher.at(-1), made.hmac.at(-1)]).toEqual([
    'diffie-hellman-group14-sha1',
    'ssh-rsa',
    '3des-cbc',
    'hmac-sha1',
  ])
  expect(all(made)).toHaveLength(all(offer()).length + 4)
})

test('a host that is known by RSA only is asked for that first, the weak way last of the three', () => {
  const { serverHostKey } = makeOffer({ knownTypes: ['ssh-rsa'], weak: ['ssh-rsa'] })
  expect(serverHostKey.slice(0, 4)).toEqual(['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa', 'ssh-ed25519'])
})

describe('what ssh_config lists', () => {
  const usual = offer()
  const sha1 = 'hmac-sha1'

  test.each<[string, AlgorithmLists, keyof Offer, readonly string[]]>([
    ['these alone', { ciphers: 'aes256-ctr,aes128-ctr' }, 'cipher', ['aes256-ctr', 'aes128-ctr']],
    ['what is known of these', { ciphers: 'x,aes256-ctr' }, 'cipher', ['aes256-ctr']],
    ['a pattern, never for what is weak', { ciphers: 'aes128-*' }, 'cipher', ['aes128-gcm@openssh.com', 'aes128-ctr']],
    ['without some', { macs: '-*-etm@*' }, 'hmac', ['hmac-sha2-256', 'hmac-sha2-512']],
    ['some first', { ciphers: '^aes256-ctr' }, 'cipher', ['aes256-ctr', ...usual.cipher.slice(0, -1)]],
    ['more', { macs: '+hmac-sha2-256,hmac-md5' }, 'hmac', usual.hmac],
    ['only what is ours', { kexAlgorithms: 'mlkem768x25519-sha256' }, 'kex', []],
    ['one kind of host key', { hostKeyAlgorithms: 'rsa-sha2-512' }, 'serverHostKey', ['rsa-sha2-512']],
  ])('%s', (_what, lists, field, expected) => {
    expect(makeOffer({ knownTypes: [], lists })[field]).toEqual(expected)
  })

  test('is the order of all that is sent, ours among it', () => {
    const lists = { kexAlgorithms: 'curve25519-sha256,mlkem768x25519-sha256' }
    const { more, kex } = makeOffer({ knownTypes: [], lists })
    expect([more.order.kex, more.kex, kex]).toEqual([
      ['curve25519-sha256', 'mlkem768x25519-sha256'],
      ['mlkem768x25519-sha256'],
      ['curve25519-sha256'],
    ])
    expect(usual.more.order).toEqual({ kex: [...usual.more.kex, ...usual.kex], hostKey: usual.serverHostKey })
  })

  test('what a session lets in stays, and is last wherever it is named', () => {
    const lists = { macs: `${sha1},hmac-sha2-256` }
    expect(makeOffer({ knownTypes: [], lists, weak: [sha1] }).hmac).toEqual(['hmac-sha2-256', sha1])
    expect(makeOffer({ knownTypes: [], lists: { macs: sha1 }, weak: [sha1] }).hmac).toEqual([sha1])
    expect(makeOffer({ knownTypes: [], lists: { macs: 'hmac-sha2-512' }, weak: [sha1] }).hmac).toEqual([
      'hmac-sha2-512',
      sha1,
    ])
  })

  test('host keys: an order of its own counts more than what is known, but + and - keep that', () => {
    const order = (hostKeyAlgorithms: string) =>
      makeOffer({ knownTypes: ['ssh-rsa'], lists: { hostKeyAlgorithms } }).serverHostKey.slice(0, 2)
    expect(order('ssh-ed25519,rsa-sha2-512')).toEqual(['ssh-ed25519', 'rsa-sha2-512'])
    expect(order('^ecdsa-sha2-nistp384')).toEqual(['ecdsa-sha2-nistp384', 'ssh-ed25519'])
    expect(order('-rsa-sha2-512')).toEqual(['rsa-sha2-256', 'ssh-ed25519'])
    const certificate = 'ssh-ed25519-cert-v01@openssh.com'
    const { more, serverHostKey } = makeOffer({ knownTypes: [], lists: { hostKeyAlgorithms: certificate } })
    expect([more.order.hostKey, serverHostKey]).toEqual([[certificate], []])
    expect(
      makeOffer({ knownTypes: [], hasAuthority: true, lists: { hostKeyAlgorithms: 'ssh-ed25519' } }).more.hostKey,
    ).toEqual([])
  })

  test.each<[AlgorithmLists]>([
    [{ ciphers: 'aes1' }],
    [{ macs: '-*' }],
    [{ kexAlgorithms: 'sntrup761x25519-sha512' }],
    [{ hostKeyAlgorithms: 'ssh-dss' }],
    [{ macs: sha1 }],
  ])('%j leaves nothing: no connection', lists => {
    expect(() => makeOffer({ knownTypes: [], lists })).toThrow(expect.objectContaining({ code: 'unsupported' }))
  })

  test('an authority’s signature: never SHA-1', () => {
    expect(caSchemesIn(undefined)).toBeUndefined()
    expect(caSchemesIn('ssh-rsa,rsa-sha2-512')).toEqual(['rsa-sha2-512'])
    expect(() => caSchemesIn('ssh-rsa')).toThrow(expect.objectContaining({ code: 'unsupported' }))
  })
})

test('certificates are asked for where an authority may speak', () => {
  expect(offer().more.hostKey).toEqual([])
  const { more } = makeOffer({ knownTypes: [], hasAuthority: true })
  expect(more.hostKey.map(({ name }) => name)).toContain('rsa-sha2-512-cert-v01@openssh.com')
})

test.each(['hmac-md5', 'ssh-dss', 'diffie-hellman-group1-sha1', 'aes128-ctr', '', '-weak'])(
  '%j can’t be let in',
  name => {
    expect(() => checkWeak(['hmac-sha1', name])).toThrow(expect.objectContaining({ code: 'usage' }))
  },
)

describe('without a common algorithm', () => {
  const explain = (lists: Partial<Lists>, weak?: readonly string[]) =>
    explainNoMatch('shop.example:22', offer(weak), server(lists), undefined)
  const all = (name: string) => ({ cipherC2s: [name], cipherS2c: [name] })

  test.each<[string, Partial<Lists>, string, string]>([
    [
      'key exchange',
      { kex: ['diffie-hellman-group14-sha1', 'ext-info-s'] },
      'key exchange by diffie-hellman-group14-sha1',
      'KexAlgorithms=+diffie-hellman-group14-sha1',
    ],
    ['host keys', { hostKey: ['ssh-dss', 'ssh-rsa'] }, 'host keys by ssh-dss, ssh-rsa', 'HostKeyAlgorithms=+ssh-rsa'],
    ['ciphers', all('3des-cbc'), 'ciphers by 3des-cbc', 'Ciphers=+3des-cbc'],
    ['ciphers one way', { cipherS2c: ['aes256-cbc'] }, 'ciphers by aes256-cbc', 'Ciphers=+aes256-cbc'],
    ['MACs', { macC2s: ['hmac-md5', 'hmac-sha1'] }, 'MACs by hmac-md5, hmac-sha1', 'MACs=+hmac-sha1'],
  ])('%s', (_what, lists, reason, option) => {
    expect(explain(lists)).toMatchObject({
      code: 'unsupported',
      message: 'shop.example:22 and this program have no algorithm in common',
      reason: `it offers ${reason} only`,
      hint: `if this server can't be updated: add -o ${option}`,
    })
  })

  test('a MAC is not missed beside a cipher that needs none', () => {
    const lists = { ...all('aes128-gcm@openssh.com'), macC2s: ['hmac-md5'], macS2c: ['hmac-md5'], hostKey: ['ssh-rsa'] }
    expect(explain(lists).hint).toBe("if this server can't be updated: add -o HostKeyAlgorithms=+ssh-rsa")
  })

  test('what a list of ours left out is named as that', () => {
    const lists = { ciphers: 'aes256-ctr' }
    const { reason, hint } = explainNoMatch('x:22', makeOffer({ knownTypes: [], lists }), server(), undefined)
    expect(reason).toBe('it offers ciphers by aes128-ctr only')
    expect(hint).toBe('lists in ssh_config leave out what it has: add -o Ciphers=+aes128-ctr')
  })

  test('what can’t be let in is not half let in', () => {
    expect(explain({ kex: ['diffie-hellman-group1-sha1'], hostKey: ['ssh-rsa'] }).hint).toBe(
      'the server needs an update',
    )
    expect(explain({ kex: [] })).toMatchObject({ reason: 'it offers key exchange by nothing only' })
  })

  test('the server’s words are shown escaped, and not at length', () => {
    const { reason = '' } = explain({ kex: ['\u001b]0;x\u0007', ...Array.from({ length: 500 }, () => 'long-name')] })
    expect(reason).toMatch(/^it offers key exchange by \\u\{1b\}\]0;x\\u\{7\}, long-name/)
    expect(reason.length).toBeLessThan(400)
  })
})

test('lists are replaced in their places, and the rest stays as it is', () => {
  const before = kexInit(['one', 'two'], 'ssh-ed25519')
  const after = replaceLists(before, { kex: ['three'] })
  expect(readKexInit(after)).toEqual({ ...readKexInit(before), kex: ['three'] })
  expect(after.subarray(0, 17)).toEqual(before.subarray(0, 17))
  expect(replaceLists(before, {})).toEqual(before)
})
