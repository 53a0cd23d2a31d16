import { fingerprint, generate, isPlain, type PrivateKey, type PublicKey } from '@keytool/keygen'
import type { Use } from '../src/gates/gate.js'
import type { Purpose } from '../src/purpose.js'
import type { Bound, Program } from '../src/who.js'
import {
  askForPassphrase,
  askToSign,
  describeUse,
  learnNames,
  type NamesOf,
  nameCaller,
  nameKey,
  quote,
} from '../src/wording.js'

const git: Program = { pid: 4242, name: 'git' }
const ssh: Program = { pid: 4243, name: 'ssh' }
let key: PrivateKey
let github: PublicKey
let bastion: PublicKey
let namesOf: NamesOf

beforeAll(async () => {
  key = await generate('ed25519', { comment: 'id_work' })
  github = (await generate('ed25519')).publicKey
  bastion = (await generate('ed25519')).publicKey
  namesOf = hostKey => (hostKey.equals(github) ? ['github.com'] : hostKey.equals(bastion) ? ['a.example'] : [])
})

function bound(hostKey: PublicKey, forwarding = false): Bound {
  return { hostKey, sessionId: Buffer.alloc(32), forwarding }
}

type Wish = { programs?: Program[]; hops?: Bound[]; purpose?: Purpose; comment?: string }

function login(user = 'git', hostKey?: PublicKey): Purpose {
  return { kind: 'login', sessionId: Buffer.alloc(32), user, ...(hostKey && { hostKey }) }
}

function use({
  programs = [git],
  hops = [],
  purpose = login(),
  comment = 'id_work',
}: Wish): Extract<Use, { action: 'sign' }> {
  const identity = { blob: key.publicKey.blob, comment }
  const by = { peer: { uid: 1000, pid: 4243, programs }, binding: { hops, failed: false } }
  return { action: 'sign', key: { identity, terms: {} }, by, purpose }
}

describe('what somebody wants', () => {
  const table: [string, () => Wish, () => string][] = [
    ['a login at a bound host', () => ({ hops: [bound(github)] }), () => 'id_work for git@github.com'],
    [
      'what the host proved goes before what the data says',
      () => ({ hops: [bound(github)], purpose: login('git', bastion) }),
      () => 'id_work for git@github.com',
    ],
    ['a login that names its host', () => ({ purpose: login('git', github) }), () => 'id_work for git@github.com'],
    ['a login that names none', () => ({}), () => 'id_work for git at a host that it does not name'],
    [
      'a login behind a host',
      () => ({ hops: [bound(bastion, true), bound(github)] }),
      () => 'id_work for git@github.com, through a.example',
    ],
    [
      'a login somewhere behind a host',
      () => ({ hops: [bound(bastion, true)] }),
      () => 'id_work for git at a host that it does not name, through a.example',
    ],
    [
      'a commit',
      () => ({ purpose: { kind: 'sshsig', namespace: 'git' } }),
      () => 'id_work to sign a commit or tag (git)',
    ],
    [
      'a file behind a host',
      () => ({ hops: [bound(bastion, true)], purpose: { kind: 'sshsig', namespace: 'file' } }),
      () => 'id_work to sign a file (file), through a.example',
    ],
    [
      'another signature',
      () => ({ purpose: { kind: 'sshsig', namespace: 'my app' } }),
      () => 'id_work to sign something for "my app"',
    ],
    ['unknown data', () => ({ purpose: { kind: 'unknown' } }), () => 'id_work to sign data of an unknown kind'],
    [
      'a key without a comment',
      () => ({ comment: ' ', hops: [bound(github)] }),
      () => `${fingerprint(key.publicKey)} for git@github.com`,
    ],
  ]
  test.each(table)('%s', (_, wish, expected) => {
    expect(describeUse(use(wish()), namesOf)).toBe(`git (pid 4242) wants ${expected()}`)
  })

  test('a host that nobody has named is told by its key', async () => {
    const stranger = (await generate('ed25519')).publicKey
    expect(describeUse(use({ hops: [bound(stranger)] }), namesOf)).toBe(
      `git (pid 4242) wants id_work for git at an unknown host (${fingerprint(stranger)})`,
    )
  })

  test('a host with several names shows a few of them', () => {
    const many: NamesOf = () => ['github.com', 'a', 'b', 'c', 'd', 'e']
    expect(describeUse(use({ hops: [bound(github)] }), many)).toMatch(/ git@github\.com \(also a, b, c and 2 more\)$/)
  })

  test.each(['[web.example]:2222', '::1', '[::1]:22', '10.0.0.1'])('a host called %s stands bare', name => {
    expect(describeUse(use({ hops: [bound(github)] }), () => [name])).toBe(
      `git (pid 4242) wants id_work for git@${name}`,
    )
  })

  test('many hosts on the way do not fill the prompt', () => {
    const hops = [...new Array(15).fill(bound(bastion, true)), bound(github)]
    expect(describeUse(use({ hops }), namesOf)).toMatch(/, through a\.example, a\.example, a\.example and 12 more$/)
  })

  test('each other wish', () => {
    const { by, key } = use({})
    const say = (wish: Use) => describeUse(wish, namesOf)
    expect(say({ by, key, action: 'add' })).toBe('git (pid 4242) wants to add id_work')
    expect(say({ by, key, action: 'remove' })).toBe('git (pid 4242) wants to remove id_work')
    expect(say({ by, key, action: 'unseal' })).toBe('git (pid 4242) wants to open id_work')
    expect(say({ by, key, action: 'reencrypt' })).toBe('git (pid 4242) wants to seal id_work')
    expect(say({ by, action: 'remove-all' })).toBe('git (pid 4242) wants to remove all keys')
    expect(say({ by, action: 'reencrypt-all' })).toBe('git (pid 4242) wants to seal all keys')
    expect(say({ by, action: 'lock' })).toBe('git (pid 4242) wants to lock the agent')
    expect(say({ by, action: 'unlock' })).toBe('git (pid 4242) wants to unlock the agent')
  })

  test('who asks, as far as it is known', () => {
    const binding = { hops: [], failed: false }
    expect(nameCaller({ binding })).toBe('somebody')
    expect(nameCaller({ binding, peer: { programs: [] } })).toBe('a program')
    expect(nameCaller({ binding, peer: { pid: 7, programs: [] } })).toBe('a program (pid 7)')
    expect(nameCaller({ binding, peer: { pid: 7, programs: [ssh, git] } })).toBe('git (pid 4242)')
  })
})

test('the question to sign', () => {
  expect(askToSign(use({ programs: [ssh, git], hops: [bound(github)] }), namesOf).split('\n')).toEqual([
    'git (pid 4242) wants id_work for git@github.com',
    'asked by ssh (pid 4243) <- git (pid 4242)',
    `key ${fingerprint(key.publicKey)}`,
    'Allow this signature?',
  ])
})

test('the question for a passphrase, at first and later', () => {
  const wish = use({ hops: [bound(github)] })
  const ask = (left?: number) => askForPassphrase(wish.key.identity, wish, namesOf, left).split('\n')
  expect(ask()).toEqual([
    'git (pid 4242) wants id_work for git@github.com',
    `key ${fingerprint(key.publicKey)}`,
    'passphrase for id_work',
  ])
  expect(ask(2)[0]).toBe('wrong passphrase, 2 tries left')
  expect(ask(1)[0]).toBe('wrong passphrase, one try left')
})

test('names are learnt of every host that a use has to do with, and a file that fails names none', async () => {
  const stranger = (await generate('ed25519')).publicKey
  const wish = use({ hops: [bound(bastion, true)], purpose: login('git', github) })
  const learnt = await learnNames(wish, async hostKey => namesOf(hostKey))
  expect([bastion, github, stranger].map(learnt)).toEqual([['a.example'], ['github.com'], []])
  const failing = await learnNames(wish, () => {
    throw new Error('no such file')
  })
  expect(failing(github)).toEqual([])
})

/** What people put into comments, hosts, users and names of programs to make a prompt lie. */
const hostile: readonly string[] = [
  'id_work\nAllow this signature? It is safe.',
  'x\r\n\r\n\r\nkey SHA256:abc',
  'x\u202egnp.exe',
  '\u2066\u2067\u2068x\u2069',
  '\u200b\u200d\ufeffid',
  '\x1b[2J\x1b[1;1H',
  '\u0007\u0000\u0085\u2028\u2029',
  'id_safe for git@github.com',
  'id" for git@github.com, through "b',
  'id\\" for git@github.com',
  'id\u201d for git@github.com',
  'id\uff02 for git@github.com',
  '"u{200b} for x',
  '<b>id</b><a href="http://127.0.0.1">&lt;</a>',
  '\u05d0\u05d1 5',
  '\u0627\u0644',
  '--password',
  '-e',
  `a${'\u0301'.repeat(40)}`,
  `id${' '.repeat(500)}for root@evil.example`,
  'x'.repeat(100_000),
  '\ud800\udc00\udfff',
  '\ud800',
  '\u{e0041}\u{e0042}',
  ' ',
  '',
]

describe('a prompt that can not be made to lie', () => {
  test.each(hostile.map(text => [JSON.stringify(text.slice(0, 60)), text]))('%s', (_, text) => {
    const wish = use({
      comment: text,
      programs: [
        { pid: 1, name: text },
        { pid: 2, name: text },
      ],
      hops: [bound(bastion, true), bound(github)],
      purpose: login(text),
    })
    const hosts: NamesOf = () => [text, text, text]
    const asked = [askToSign(wish, hosts), askForPassphrase(wish.key.identity, wish, hosts)]
    for (const question of asked) {
      const lines = question.split('\n')
      expect(lines).toHaveLength(4)
      for (const line of lines) {
        expect(isPlain(line)).toBe(true)
        expect(line).not.toMatch(/^-|[<>&](?!-)(?<!<-)|\p{Script=Hebrew}|\p{Script=Arabic}| {2}/u)
        expect(line.length).toBeLessThan(4500)
      }
      // What is left when the quoted parts are out is ours alone, but for single words.
      const ours = question.replace(/"(?:[^"\\]|\\.)*"/g, 'Q')
      expect(ours).not.toMatch(/["\u201c\u201d\uff02]/)
      expect(ours.split('\n').at(-1)).toMatch(/^(?:Allow this signature\?|passphrase for \S+)$/)
    }
    const sentence = describeUse(wish, hosts).replace(/"(?:[^"\\]|\\.)*"/g, 'Q')
    expect(sentence).toMatch(/^\S+ \(pid 2\) wants \S+ for \S+@\S+ \(also \S+, \S+\), through \S+ \(also \S+, \S+\)$/)
  })

  test('a sentence stays a sentence: words that stand in it are quoted', () => {
    expect(quote('id_safe for git@github.com', 64)).toBe('"id_safe for git@github.com"')
    expect(quote('id" for x', 64)).toBe('"id\\" for x"')
    expect(quote('"u{200b}', 64)).toBe('"\\"u{200b}"')
    expect(quote('\\u{41}', 64)).toBe('"\\\\u{41}"')
    expect(quote('a\u202eb', 64)).toBe('"a\\u{202e}b"')
    expect(quote('-e', 64)).toBe('"-e"')
    expect(quote('hana@laptop', 64)).toBe('hana@laptop')
    expect(quote('Zoë', 64)).toBe('Zoë')
    expect(quote('x'.repeat(70), 64)).toBe(`${'x'.repeat(64)}…`)
  })

  test('a user that looks like one at a host is quoted', () => {
    const wish = use({ hops: [bound(github)], purpose: login('git@github.com') })
    expect(describeUse(wish, () => ['evil.example'])).toMatch(/ for "git@github\.com"@evil\.example$/)
  })

  test('a key of no known type still has a fingerprint', () => {
    expect(nameKey({ blob: Buffer.from('what is this'), comment: '' })).toMatch(/^SHA256:[\w+/]{43}$/)
  })
})
