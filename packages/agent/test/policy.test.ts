import { execFileSync } from 'node:child_process'
import { chmod, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fingerprint, generate, type KeytoolError, keyFormats, type PrivateKey, writePublicLine } from '@keytool/keygen'
import { withKeyRule } from '../src/policy/edit.js'
import { parsePolicy } from '../src/policy/parse.js'
import { completeTerms, defaultPolicy, type KeyRule, type Policy, ruleOf } from '../src/policy/policy.js'
import { resolvePolicy } from '../src/policy/resolve.js'
import { loadPolicy } from '../src/policy/store.js'
import { type PolicyWatch, watchPolicy } from '../src/policy/watch.js'
import { certify } from './hosts.js'
import { giveAway, later, makeTemporary } from './support.js'

const home = '/home/hana'
const print = 'SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDEqWEBTBRPF0WbGWo'
const parse = (value: unknown) => parsePolicy(Buffer.from(JSON.stringify(value)), 'agent.json', home)

const everything = {
  version: 1,
  keys: [
    {
      file: '~/.ssh/id_work',
      fingerprint: print,
      atLogin: true,
      remember: true,
      lifetime: 28800,
      idle: 900,
      confirm: true,
      hosts: ['github.com', '*.example.com', '[web?]:2222', '::1'],
      programs: ['git', '/usr/bin/ssh', 'Some App'],
    },
    { file: '/srv/key' },
  ],
  lifetime: 3600,
  idle: 600,
  confirm: true,
  learn: false,
  unknownData: 'never',
  forwarded: { add: true, remove: true, lock: true },
  sealOn: { suspend: false, screenLock: false },
  ledger: false,
  upstream: '/run/other/agent.sock',
}

/** What no policy may have, where it is named, and whether the schema can tell. */
const refused: readonly [string, unknown, string][] = [
  ['a list', [], 'the whole'],
  ['a text', 'x', 'the whole'],
  ['null', null, 'the whole'],
  ['nothing', {}, 'version'],
  ['version 0', { version: 0 }, 'version'],
  ['a version that is text', { version: '1' }, 'version'],
  ['an unknown member', { version: 1, colour: 'blue' }, '"colour"'],
  ['a member that every object has', JSON.parse('{"version":1,"__proto__":{}}'), '"__proto__"'],
  ['an inherited name', { version: 1, toString: 1 }, '"toString"'],
  ['an unknown member of a rule', { version: 1, keys: [{ file: '/a' }, { file: '/b', host: ['x'] }] }, 'keys[1]'],
  ['an unknown member of forwarded', { version: 1, forwarded: { sign: true } }, 'forwarded'],
  ['an unknown member of sealOn', { version: 1, sealOn: { lid: true } }, 'sealOn'],
  ['keys that are no list', { version: 1, keys: {} }, 'keys'],
  ['too many keys', { version: 1, keys: Array.from({ length: 257 }, (_, i) => ({ file: `/${i}` })) }, 'keys'],
  ['a rule that is no object', { version: 1, keys: ['~/.ssh/id'] }, 'keys[0]'],
  ['a rule about no key', { version: 1, keys: [{ confirm: true }] }, 'keys[0]'],
  ['a key at login without its file', { version: 1, keys: [{ fingerprint: print, atLogin: true }] }, 'keys[0].atLogin'],
  ['a path that is relative', { version: 1, keys: [{ file: 'id_work' }] }, 'keys[0].file'],
  ['a path of another user', { version: 1, keys: [{ file: '~root/key' }] }, 'keys[0].file'],
  ['a path that is a number', { version: 1, keys: [{ file: 1 }] }, 'keys[0].file'],
  ['a fingerprint by MD5', { version: 1, keys: [{ fingerprint: 'MD5:aa' }] }, 'keys[0].fingerprint'],
  ['a fingerprint that is cut', { version: 1, keys: [{ fingerprint: print.slice(0, -1) }] }, 'keys[0].fingerprint'],
  ['no lifetime', { version: 1, lifetime: 0 }, 'lifetime'],
  ['half a second', { version: 1, idle: 0.5 }, 'idle'],
  ['seconds as text', { version: 1, keys: [{ file: '/a', lifetime: '1h' }] }, 'keys[0].lifetime'],
  ['too many seconds', { version: 1, lifetime: 2 ** 32 }, 'lifetime'],
  ['a flag as text', { version: 1, confirm: 'yes' }, 'confirm'],
  ['a flag as a number', { version: 1, forwarded: { add: 1 } }, 'forwarded.add'],
  ['a word that is none', { version: 1, unknownData: 'always' }, 'unknownData'],
  ['no hosts at all', { version: 1, keys: [{ file: '/a', hosts: [] }] }, 'keys[0].hosts'],
  ['a host that is one text', { version: 1, keys: [{ file: '/a', hosts: 'web' }] }, 'keys[0].hosts'],
  ['a host that is empty', { version: 1, keys: [{ file: '/a', hosts: ['web', ''] }] }, 'keys[0].hosts[1]'],
  ['a host that is ruled out', { version: 1, keys: [{ file: '/a', hosts: ['!web'] }] }, 'keys[0].hosts[0]'],
  ['two hosts in one', { version: 1, keys: [{ file: '/a', hosts: ['a,b'] }] }, 'keys[0].hosts[0]'],
  ['a host with a blank', { version: 1, keys: [{ file: '/a', hosts: ['a b'] }] }, 'keys[0].hosts[0]'],
  ['a user in front of a host', { version: 1, keys: [{ file: '/a', hosts: ['git@a'] }] }, 'keys[0].hosts[0]'],
  ['no programs at all', { version: 1, keys: [{ file: '/a', programs: [] }] }, 'keys[0].programs'],
  ['a program in a folder', { version: 1, keys: [{ file: '/a', programs: ['bin/git'] }] }, 'keys[0].programs[0]'],
  ['an upstream that is relative', { version: 1, upstream: 'agent.sock' }, 'upstream'],
]

/** What only the program can tell. */
const refusedBesides: readonly [string, unknown, string][] = [
  ['one file twice', { version: 1, keys: [{ file: '/home/hana/a' }, { file: '~/a' }] }, 'keys[1]'],
  [
    'one fingerprint twice',
    { version: 1, keys: [{ fingerprint: print }, { file: '/a', fingerprint: print }] },
    'keys[1]',
  ],
  ['a path with an invisible character', { version: 1, keys: [{ file: '/a\u202eb' }] }, 'keys[0].file'],
  ['a program with a newline', { version: 1, keys: [{ file: '/a', programs: ['g\nit'] }] }, 'keys[0].programs[0]'],
]

describe('a policy', () => {
  test('that says nothing is the default one', () => {
    expect(parse({ version: 1 })).toEqual(defaultPolicy)
    expect(parse({ version: 1, forwarded: {}, sealOn: {}, keys: [] })).toEqual(defaultPolicy)
  })

  test('that says everything', () => {
    const { version: _, ...said } = everything
    const keys = [{ ...said.keys[0], file: '/home/hana/.ssh/id_work' }, said.keys[1]]
    expect(parse(everything)).toEqual({ ...said, keys })
  })

  test('what it leaves out of a group stays as it was', () => {
    expect(parse({ version: 1, forwarded: { lock: true } }).forwarded).toEqual({
      add: false,
      remove: false,
      lock: true,
    })
    expect(parse({ version: 1, sealOn: { suspend: false } }).sealOn).toEqual({ suspend: false, screenLock: true })
  })

  test.each([...refused, ...refusedBesides])('%s: refused, and the member is named', (_, value, at) => {
    expect(() => parse(value)).toThrow(
      expect.objectContaining({
        code: 'damaged',
        message: expect.stringContaining(`agent.json: ${at.startsWith('"') ? '' : at}`),
      }),
    )
    expect(() => parse(value)).toThrow(at)
  })

  test('of a newer program is told from a damaged one', () => {
    expect(() => parse({ version: 2, colour: 'blue' })).toThrow(expect.objectContaining({ code: 'unsupported' }))
  })

  test.each([
    ['{\n  "version": 1,\n}', 3],
    ['{\n  "version": 1\n  "learn": false\n}', 3],
    ['{\n  "version": 1,\n  "learn": yes\n}', 3],
    ["{\n  'version': 1\n}", 2],
    ['{ "version": 1 }\n\nx', 3],
    ['nothing', 1],
    ['', 1],
    ['{\n "version": 1,\n', 3],
  ])('%j is no JSON, in line %d', (text, line) => {
    expect(() => parsePolicy(Buffer.from(text), 'agent.json', home)).toThrow(
      expect.objectContaining({ code: 'damaged', message: `agent.json: line ${line} is no JSON` }),
    )
  })

  test('is UTF-8, and of a size that people write', () => {
    for (const bytes of [
      Buffer.from('{"version":1}', 'utf16le'),
      Buffer.of(0x22, 0xff, 0x22),
      Buffer.alloc(300_000, 0x20),
    ]) {
      expect(() => parsePolicy(bytes, 'agent.json', home)).toThrow(expect.objectContaining({ code: 'damaged' }))
    }
  })
})

describe('the schema that is shipped', () => {
  let schema: Schema

  beforeAll(async () => {
    schema = JSON.parse(await readFile(new URL('../schema/agent.json', import.meta.url), 'utf8'))
  })

  /** The members that the check knows, as it tells whoever misspells one. */
  const known = (value: unknown) => {
    try {
      parse(value)
    } catch (error) {
      return /^there are (.*)$/
        .exec((error as KeytoolError).hint ?? '')?.[1]
        ?.split(', ')
        .sort()
    }
    throw new Error('not refused')
  }

  test('has the members that the check has', () => {
    const { properties = {}, $defs = {} } = schema
    expect(Object.keys(properties).sort()).toEqual(known({ version: 1, x: 1 }))
    expect(Object.keys($defs['rule']?.properties ?? {}).sort()).toEqual(known({ version: 1, keys: [{ x: 1 }] }))
    expect(Object.keys(properties['forwarded']?.properties ?? {}).sort()).toEqual(
      known({ version: 1, forwarded: { x: 1 } }),
    )
    expect(Object.keys(properties['sealOn']?.properties ?? {}).sort()).toEqual(known({ version: 1, sealOn: { x: 1 } }))
  })

  test('takes what the check takes', () => {
    for (const value of [everything, { version: 1 }, { version: 1, keys: [{ fingerprint: print, atLogin: false }] }]) {
      parse(value)
      expect(fits(value, schema, schema)).toBe(true)
    }
  })

  test.each(refused)('refuses %s, as the check does', (_, value) => {
    expect(fits(value, schema, schema)).toBe(false)
  })

  test('names the same defaults', () => {
    const { properties = {} } = schema
    const named = Object.entries(properties).flatMap(([name, each]) =>
      'default' in each ? [[name, each.default]] : [],
    )
    expect(defaultPolicy).toMatchObject(Object.fromEntries(named))
    expect(named.map(([name]) => name)).toEqual(['confirm', 'learn', 'unknownData', 'ledger'])
    for (const group of ['forwarded', 'sealOn'] as const) {
      const inside = Object.entries(properties[group]?.properties ?? {}).map(([name, each]) => [name, each.default])
      expect(Object.fromEntries(inside)).toEqual(defaultPolicy[group])
    }
  })
})

describe('the rule about a key', () => {
  let key: PrivateKey
  let folder: string

  beforeEach(async () => {
    key = await generate('ed25519', { comment: 'id_work' })
    folder = await makeTemporary()
  })

  const resolve = async (...keys: KeyRule[]) => resolvePolicy({ ...defaultPolicy, keys }, 'agent.json')
  const seen = () => ({ blob: key.publicKey.blob })

  test('by its fingerprint, also as a certificate', async () => {
    const policy = { ...defaultPolicy, keys: [{ fingerprint: fingerprint(key.publicKey), confirm: true }] }
    expect(ruleOf(policy, seen())).toBe(policy.keys[0])
    const certificate = await certify(key, await generate('ed25519'), { kind: 1 })
    expect(certificate.algorithm.certifies).toBeDefined()
    expect(ruleOf(policy, { blob: certificate.blob })).toBe(policy.keys[0])
    expect(ruleOf(policy, { blob: (await generate('ed25519')).publicKey.blob })).toBeUndefined()
    expect(ruleOf(policy, { blob: Buffer.from('no key at all') })).toBeUndefined()
    expect(ruleOf(defaultPolicy, seen())).toBeUndefined()
  })

  test('by its file', () => {
    const policy = { ...defaultPolicy, keys: [{ file: '/k/id_work' }] }
    expect(ruleOf(policy, { ...seen(), file: '/k/id_work' })).toBe(policy.keys[0])
    expect(ruleOf(policy, { ...seen(), file: '/k/id_other' })).toBeUndefined()
    expect(ruleOf(policy, seen())).toBeUndefined()
  })

  /** The key in a file of its own, encrypted. */
  async function writeFileOf(format: string, file: string): Promise<void> {
    const passphrase = Buffer.from('secret')
    const bytes = await keyFormats.find(({ name }) => name === format)?.write?.(key, { passphrase, rounds: 1 })
    await writeFile(file, bytes ?? '')
  }

  test('by its file, when ssh-add added it: an encrypted one that shows its public half', async () => {
    const file = join(folder, 'id')
    await writeFileOf('openssh', file)
    const { policy, troubles } = await resolve({ file, confirm: true })
    expect(troubles).toEqual([])
    expect(ruleOf(policy, seen())).toMatchObject({ file, confirm: true })
  })

  test('by its file, when ssh-add added it: an encrypted PEM file, which shows nothing, with its .pub', async () => {
    const file = join(folder, 'id')
    key = await generate('ecdsa-256')
    await writeFileOf('pem', file)
    await writeFile(`${file}.pub`, writePublicLine(key.publicKey))
    const { policy, troubles } = await resolve({ file, confirm: true })
    expect(troubles).toEqual([])
    expect(ruleOf(policy, seen())).toMatchObject({ file, confirm: true })
  })

  test('a .pub that is another key’s counts less than the file', async () => {
    const file = join(folder, 'id')
    await writeFileOf('openssh', file)
    await writeFile(`${file}.pub`, writePublicLine((await generate('ed25519')).publicKey))
    const { policy } = await resolve({ file })
    expect(policy.keys[0]?.fingerprint).toBe(fingerprint(key.publicKey))
  })

  test('nothing shows whose key it is: said, and the others hold', async () => {
    const { policy, troubles } = await resolve({ file: join(folder, 'gone') }, { fingerprint: print })
    expect(policy.keys).toHaveLength(2)
    expect(troubles).toEqual([
      expect.objectContaining({ code: 'not-found', message: expect.stringContaining('keys[0]') }),
    ])
  })

  test('two rules that turn out to be about one key are refused', async () => {
    await writeFile(join(folder, 'id.pub'), writePublicLine(key.publicKey))
    const rules = [{ file: join(folder, 'id') }, { fingerprint: fingerprint(key.publicKey) }]
    await expect(resolve(...rules)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('keys[1]'),
    })
  })

  test.each<[string, Partial<Policy>, KeyRule, object, object]>([
    ['nothing said', {}, {}, {}, {}],
    ['what it was added under', {}, {}, { lifetime: 5, confirm: true }, { lifetime: 5, confirm: true }],
    ['the defaults', { lifetime: 10, idle: 3, confirm: true }, {}, {}, { lifetime: 10, idle: 3, confirm: true }],
    [
      'the rule before the defaults',
      { lifetime: 10, confirm: true },
      { lifetime: 20, confirm: false },
      {},
      { lifetime: 20 },
    ],
    ['the shorter of two', { idle: 9 }, { lifetime: 20 }, { lifetime: 50, idle: 4 }, { lifetime: 20, idle: 4 }],
    ['no policy takes a question away', {}, { confirm: false }, { confirm: true }, { confirm: true }],
  ])('terms: %s', (_, given, rule, terms, expected) => {
    const keys = [{ ...rule, fingerprint: fingerprint(key.publicKey) }]
    expect(completeTerms({ ...defaultPolicy, ...given, keys }, seen(), terms)).toEqual(expected)
  })

  test('destinations stay', () => {
    expect(completeTerms({ ...defaultPolicy, idle: 1 }, seen(), { destinations: [] })).toEqual({
      destinations: [],
      idle: 1,
    })
  })
})

describe('a rule that is written', () => {
  const write = (old: string | undefined, rule: KeyRule) =>
    withKeyRule(old === undefined ? undefined : Buffer.from(old), rule, 'agent.json', home).toString()

  test('makes the file, or is added to what is there', () => {
    const made = write(undefined, { file: '/home/hana/.ssh/id', atLogin: true })
    expect(made).toBe(
      '{\n  "version": 1,\n  "keys": [\n    {\n      "file": "~/.ssh/id",\n      "atLogin": true\n    }\n  ]\n}\n',
    )
    const more = JSON.parse(
      write('{"learn":false,"version":1,"keys":[{"file":"/b","idle":5}]}', { fingerprint: print }),
    )
    expect(more).toEqual({ learn: false, version: 1, keys: [{ file: '/b', idle: 5 }, { fingerprint: print }] })
  })

  test.each([
    ['file', { file: '/home/hana/a', atLogin: true }],
    ['fingerprint', { fingerprint: print, atLogin: true, file: '/home/hana/a' }],
  ])('changes the one that is there by its %s, and keeps what it does not name', (_, rule) => {
    const old = {
      version: 1,
      keys: [{ file: '/z' }, { file: '~/a', fingerprint: print, hosts: ['web'], atLogin: false }],
    }
    expect(JSON.parse(write(JSON.stringify(old), rule))).toEqual({
      version: 1,
      keys: [{ file: '/z' }, { file: '~/a', fingerprint: print, hosts: ['web'], atLogin: true }],
    })
  })

  test('never over a file that is not understood, nor one that would not be', () => {
    expect(() => write('{', { file: '/a' })).toThrow(expect.objectContaining({ code: 'damaged' }))
    expect(() => write('{"version":2}', { file: '/a' })).toThrow(expect.objectContaining({ code: 'unsupported' }))
    expect(() => write(undefined, { file: 'a' })).toThrow(expect.objectContaining({ code: 'usage' }))
    expect(() => write(undefined, { fingerprint: print, atLogin: true })).toThrow(
      expect.objectContaining({ code: 'usage' }),
    )
  })
})

describe('the file', () => {
  let path: string
  let seen: Policy[]
  let troubles: KeytoolError[]

  beforeEach(async () => {
    path = join(await makeTemporary(), 'agent.json')
    seen = []
    troubles = []
  })

  const put = async (value: unknown, to = path) => writeFile(to, JSON.stringify(value), { mode: 0o600 })

  async function start(options: { interval?: number } = {}): Promise<PolicyWatch> {
    const watch = await watchPolicy(path, {
      home,
      delay: 20,
      interval: 60_000,
      onChange: policy => void seen.push(policy),
      onTroubles: errors => void troubles.push(...errors),
      ...options,
    })
    later(() => watch.close())
    return watch
  }

  async function until(isDone: () => boolean): Promise<void> {
    for (let i = 0; i < 2000 && !isDone(); i++) await new Promise(resolve => setTimeout(resolve, 10))
    expect(isDone()).toBe(true)
  }

  test('is not there: the default holds, and goes on', async () => {
    const watch = await start()
    expect(watch.current).toBe(defaultPolicy)
    await watch.reload()
    expect([seen, troubles]).toEqual([[], []])
  })

  test('made, replaced as editors do, taken away: each time the new policy holds', async () => {
    const watch = await start()
    await put({ version: 1, idle: 1 })
    await until(() => watch.current.idle === 1)
    await put({ version: 1, idle: 2 }, `${path}.new`)
    await rename(`${path}.new`, path)
    await until(() => watch.current.idle === 2)
    await rm(path)
    await until(() => watch.current.idle === undefined)
    expect(seen.map(({ idle }) => idle)).toEqual([1, 2, undefined])
    expect(troubles).toEqual([])
  })

  test('broken: the old policy stays, and that is said; mended, it counts again', async () => {
    await put({ version: 1, idle: 1 })
    const watch = await start()
    await put({ version: 1, idle: 0 })
    await until(() => troubles.length > 0)
    expect(watch.current.idle).toBe(1)
    expect(troubles[0]).toMatchObject({
      code: 'damaged',
      message: `${path}: idle is no number of seconds from 1 to 4294967295`,
    })
    await put({ version: 1, idle: 3 })
    await until(() => watch.current.idle === 3)
    expect(seen).toHaveLength(1)
  })

  test('broken from the start: nothing is guessed', async () => {
    await writeFile(path, '{', { mode: 0o600 })
    await expect(start()).rejects.toMatchObject({ code: 'damaged' })
  })

  test('behind a link, in a folder that is made later: looked at now and then', async () => {
    const end = join(await makeTemporary(), 'dotfiles', 'mine.json')
    await symlink(end, path)
    const watch = await start({ interval: 50 })
    await mkdir(join(end, '..'))
    await put({ version: 1, idle: 7 }, end)
    await until(() => watch.current.idle === 7)
    await put({ version: 1, idle: 8888 }, end)
    await until(() => watch.current.idle === 8888)
  })

  test('closed, it is not followed any more', async () => {
    const watch = await start()
    watch.close()
    await put({ version: 1, idle: 1 })
    await watch.reload()
    expect([watch.current, seen, troubles]).toEqual([defaultPolicy, [], []])
  })

  test('a key that changed is known after a reload', async () => {
    const file = join(path, '..', 'id')
    const [one, two] = await Promise.all([generate('ed25519'), generate('ed25519')])
    await put({ version: 1, keys: [{ file, confirm: true }] })
    const watch = await start()
    expect(troubles.map(({ code }) => code)).toEqual(['not-found'])
    for (const { publicKey } of [one, two]) {
      await writeFile(`${file}.pub`, writePublicLine(publicKey))
      await watch.reload()
      expect(ruleOf(watch.current, publicKey)).toMatchObject({ confirm: true })
    }
    expect(ruleOf(watch.current, one.publicKey)).toBeUndefined()
  })

  test.each([0o620, 0o602, 0o666])('that others may write (%o) is not followed', async mode => {
    await put({ version: 1 })
    await chmod(path, mode)
    await expect(loadPolicy(path, home)).rejects.toMatchObject({ code: 'refused', hint: `chmod go-w ${path}` })
  })

  test('of another user is not followed', async () => {
    await put({ version: 1 })
    await giveAway(path)
    await expect(loadPolicy(path, home)).rejects.toMatchObject({ code: 'refused' })
  })

  test('that is a folder or a pipe is refused, and nobody waits', async () => {
    await mkdir(path)
    await expect(loadPolicy(path, home)).rejects.toMatchObject({ code: 'damaged' })
    await rm(path, { recursive: true })
    execFileSync('mkfifo', [path])
    await expect(loadPolicy(path, home)).rejects.toMatchObject({ code: 'damaged' })
  })
})

interface Schema {
  readonly $ref?: string
  readonly $defs?: Readonly<Record<string, Schema>>
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly default?: unknown
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly items?: Schema
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: boolean
  readonly anyOf?: readonly Schema[]
  readonly if?: Schema
  readonly then?: Schema
}

/** What says nothing by itself. */
const silent = new Set(['$schema', '$defs', 'title', 'description', 'default', 'then', 'additionalProperties'])

/** As much of JSON Schema as ours uses; a keyword that is not here would make the test worthless. */
const keywords: Readonly<Record<string, (value: unknown, schema: Schema, root: Schema) => boolean>> = {
  $ref: (value, { $ref = '' }, root) => {
    const target = root.$defs?.[$ref.replace('#/$defs/', '')]
    if (!target) throw new Error($ref)
    return fits(value, target, root)
  },
  type: (value, { type }) => type === typeOf(value) || (type === 'integer' && Number.isInteger(value)),
  const: (value, schema) => value === schema.const,
  enum: (value, schema) => schema.enum?.includes(value) === true,
  pattern: (value, { pattern = '' }) => typeof value !== 'string' || new RegExp(pattern, 'u').test(value),
  minLength: (value, { minLength = 0 }) => typeof value !== 'string' || value.length >= minLength,
  maxLength: (value, { maxLength = 0 }) => typeof value !== 'string' || value.length <= maxLength,
  minimum: (value, { minimum = 0 }) => typeof value !== 'number' || value >= minimum,
  maximum: (value, { maximum = 0 }) => typeof value !== 'number' || value <= maximum,
  minItems: (value, { minItems = 0 }) => !Array.isArray(value) || value.length >= minItems,
  maxItems: (value, { maxItems = 0 }) => !Array.isArray(value) || value.length <= maxItems,
  items: (value, { items = {} }, root) => !Array.isArray(value) || value.every(item => fits(item, items, root)),
  required: (value, { required = [] }) =>
    typeOf(value) !== 'object' || required.every(name => Object.hasOwn(value as object, name)),
  properties: (value, { properties = {}, additionalProperties = true }, root) =>
    typeOf(value) !== 'object' ||
    Object.entries(value as object).every(([name, member]) => {
      const row = Object.hasOwn(properties, name) ? properties[name] : undefined
      return row ? fits(member, row, root) : additionalProperties
    }),
  anyOf: (value, { anyOf = [] }, root) => anyOf.some(each => fits(value, each, root)),
  if: (value, schema, root) => !fits(value, schema.if ?? {}, root) || fits(value, schema.then ?? {}, root),
}

function fits(value: unknown, schema: Schema, root: Schema): boolean {
  return Object.keys(schema).every(keyword => {
    if (silent.has(keyword)) return true
    const check = keywords[keyword]
    if (!check) throw new Error(`a keyword that is not checked: ${keyword}`)
    return check(value, schema, root)
  })
}

function typeOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value
}
