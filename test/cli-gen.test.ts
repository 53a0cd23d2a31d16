import { createPrivateKey, createPublicKey } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { expectRefused, runIn, succeed } from './cli-fixture.js'
import { leaveDuty } from './world/duty.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { run, runOrThrow } from './world/run.js'

// `gen` without a terminal: every type in every format, as others open it; fleets; and what is never made.

jest.setTimeout(120_000)

const SECRET = 'größer als 鍵'

let home: Home
const at = (name: string) => join(home.path, name)

beforeAll(async () => {
  home = await temporaryHome()
  await writeFile(at('secret'), `${SECRET}\n`)
  await writeFile(at('empty'), '\n')
})
afterAll(() => home.dispose())
beforeEach(async () => {
  await rm(at('w'), { recursive: true, force: true })
  await mkdir(at('w'), { mode: 0o700 })
})

const types = ['ed25519', 'ed448', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa', 'mldsa44-ed25519']
const formats = ['openssh', 'ppk', 'ppk2', 'pem', 'pkcs8', 'sshcom', 'jwk']
/** What a format has no place for. */
const missing: Record<string, readonly string[]> = {
  ppk: ['mldsa44-ed25519'],
  ppk2: ['mldsa44-ed25519'],
  pem: ['ed25519', 'ed448', 'mldsa44-ed25519'],
  pkcs8: ['mldsa44-ed25519'],
  sshcom: types.filter(type => type !== 'rsa'),
  jwk: ['mldsa44-ed25519'],
}
const cells = types.flatMap(type => formats.map(format => [type, format] as const))
const holds = (type: string, format: string) => !missing[format]?.includes(type)
const possible = cells.filter(([type, format]) => holds(type, format))
const impossible = cells.filter(([type, format]) => !holds(type, format))
const small = (type: string) => (type === 'rsa' ? ['-b', '2048'] : [])
/** What a passphrase costs by itself is looked at further down. */
const cheap: Record<string, readonly string[]> = { openssh: ['--rounds', '1'], pkcs8: ['--rounds', '1000'] }

function blobOf(line: string): string {
  return line.trim().split(' ')[1] ?? ''
}

/** The blob of a key file, as the first of these programs that knows type and format opens it. */
async function openedByOthers(type: string, format: string, path: string, passphrase: string): Promise<string> {
  if (type === 'mldsa44-ed25519') return blobOf(await succeed(home, ['public', path]))
  if (format === 'pem' || format === 'pkcs8' || format === 'jwk') return openedByNode(format, path, passphrase)
  if (format === 'openssh' && type !== 'ed448') {
    return blobOf((await runOrThrow(peerPath('ssh-keygen'), ['-y', '-P', passphrase, '-f', at(path)])).stdout)
  }
  await writeFile(at('w/its-secret'), `${passphrase}\n`)
  await writeFile(at('w/no-secret'), '\n')
  const secrets = ['--old-passphrase', at('w/its-secret'), '--new-passphrase', at('w/no-secret')]
  // From one format to the other: puttygen refuses what would change the passphrase alone.
  const output = format === 'openssh' ? 'private' : 'private-openssh-new'
  await runOrThrow(peerPath('puttygen'), [at(path), '-O', output, '-o', at('w/open'), ...secrets])
  const { stdout } = await runOrThrow(peerPath('puttygen'), [at('w/open'), '-O', 'public-openssh'])
  return blobOf(stdout)
}

async function openedByNode(format: string, path: string, passphrase: string): Promise<string> {
  const text = await readFile(at(path), 'utf8')
  const key =
    format === 'jwk'
      ? createPrivateKey({ key: JSON.parse(text), format: 'jwk' })
      : createPrivateKey({ key: text, passphrase })
  await writeFile(at('w/opened.spki'), createPublicKey(key).export({ type: 'spki', format: 'pem' }))
  return blobOf(await succeed(home, ['public', 'w/opened.spki']))
}

describe('each type in each format that holds it', () => {
  test.each(possible)('%s, %s', async (type, format) => {
    const sealed = format !== 'jwk'
    const protection = sealed ? ['--passphrase-file', 'secret', ...(cheap[format] ?? [])] : ['--no-passphrase']
    const label = ['-C', 'Hána @ 鍵']
    const args = [
      'gen',
      '-t',
      type,
      ...small(type),
      '--format',
      format,
      '-f',
      'w/key',
      ...label,
      ...protection,
      '--json',
    ]
    const { status, stdout } = await runIn(home, args)
    expect(status).toBe(0)
    const facts = JSON.parse(stdout)
    const line = await readFile(at('w/key.pub'), 'utf8')
    expect(facts).toMatchObject({ path: at('w/key'), publicPath: at('w/key.pub'), encrypted: sealed })
    expect(facts).toMatchObject({ format: format === 'ppk' ? 'ppk3' : format, comment: 'Hána @ 鍵' })
    expect(line).toBe(`${facts.type} ${blobOf(line)} Hána @ 鍵\n`)
    expect(await openedByOthers(type, format, 'w/key', sealed ? SECRET : '')).toBe(blobOf(line))
    expect((await stat(at('w/key'))).mode & 0o777).toBe(0o600)
    expect((await stat(at('w/key.pub'))).mode & 0o777).toBe(0o644)
  })

  test.each(impossible)('%s can not be %s: 6, naming both', async (type, format) => {
    const args = ['gen', '-t', type, '--format', format, '-f', 'w/key', '--no-passphrase']
    await expectRefused(home, args, {
      status: 6,
      code: 'unsupported',
      says: new RegExp(
        `can't hold ${type} keys[\\s\\S]*nothing was made[\\s\\S]*keytool gen -t ${type} --format openssh`,
      ),
    })
  })
})

describe('what a passphrase costs', () => {
  const gen = ['gen', '-f', 'w/key', '--passphrase-file', 'secret', '--force']
  async function kdf(...args: string[]): Promise<Record<string, unknown>> {
    await succeed(home, [...gen, ...args])
    const [facts] = JSON.parse(await succeed(home, ['inspect', 'w/key', '--json']))
    return facts.kdf
  }

  test('is chosen by time, and never less than the usual', async () => {
    const openssh = await kdf()
    expect(openssh).toMatchObject({ name: 'bcrypt', rounds: expect.any(Number) })
    expect(openssh['rounds']).toBeGreaterThanOrEqual(24)
    const ppk = await kdf('--format', 'ppk')
    expect(ppk).toMatchObject({ name: 'Argon2id' })
    expect(Number(ppk['memory']) * Number(ppk['passes'])).toBeGreaterThanOrEqual(8192 * 13)
    const pkcs8 = await kdf('--format', 'pkcs8')
    expect(pkcs8).toMatchObject({ name: 'pbkdf2-sha256' })
    expect(pkcs8['rounds']).toBeGreaterThanOrEqual(600_000)
  })

  test('or is what --rounds says', async () => {
    expect(await kdf('--rounds', '3')).toMatchObject({ name: 'bcrypt', rounds: 3 })
    expect(await kdf('--format', 'pkcs8', '--rounds', '5000')).toMatchObject({ name: 'pbkdf2-sha256', rounds: 5000 })
  })

  test.each([
    ['0', [], /--rounds/],
    ['many', [], /--rounds/],
    ['8193', [], /8192/],
    ['3', ['--format', 'ppk'], /--rounds/],
    ['3', ['--format', 'pem', '-t', 'rsa'], /--rounds/],
  ] as [string, string[], RegExp][])('--rounds %s %j: 2', async (rounds, more, says) => {
    const args = ['gen', '-f', 'w/key', '--passphrase-file', 'secret', '--rounds', rounds, ...more]
    await expectRefused(home, args, { status: 2, code: 'usage', says }, { secrets: [SECRET] })
  })
})

describe('what is never made: 2', () => {
  test.each([
    ['dsa', [], /DSA[\s\S]*ed25519/],
    ['ed25519-sk', [], /token[\s\S]*ssh-keygen -t ed25519-sk/],
    ['ecdsa-sk', [], /token/],
    ['rsa1', [], /one of: ed25519/],
    ['', [], /one of: ed25519/],
    ['rsa', ['-b', '1024'], /2048 to 16384/],
    ['rsa', ['-b', '2047'], /2048 to 16384/],
    ['rsa', ['-b', '16385'], /2048 to 16384/],
    ['rsa', ['-b', '65536'], /2048 to 16384/],
    ['rsa', ['-b', '-1'], /./],
    ['rsa', ['-b', '2048.5'], /-b takes/],
    ['rsa', ['-b', ''], /-b takes/],
    ['ecdsa', ['-b', '255'], /256|ecdsa-255/],
    ['ecdsa-256', ['-b', '384'], /ecdsa-256/],
    ['ed25519', ['-b', '512'], /one size/],
    ['ed448', ['-b', '4096'], /one size/],
  ] as [string, string[], RegExp][])('-t %j %j', async (type, more, says) => {
    await expectRefused(home, ['gen', '-t', type, '-f', 'w/key', '--no-passphrase', ...more], {
      status: 2,
      code: 'usage',
      says,
    })
  })

  test('but -b that says what is so anyway is taken, as ssh-keygen takes it', async () => {
    await succeed(home, ['gen', '-t', 'ecdsa', '-b', '521', '-f', 'w/one', '--no-passphrase'])
    await succeed(home, ['gen', '-t', 'ecdsa-384', '-b', '384', '-f', 'w/two', '--no-passphrase'])
    await succeed(home, ['gen', '-t', 'ed25519', '-b', '256', '-f', 'w/three', '--no-passphrase'])
    const facts = JSON.parse(await succeed(home, ['inspect', 'w/one', 'w/two', 'w/three', '--json']))
    expect(facts.map(({ bits }: { bits: number }) => bits)).toEqual([521, 384, 256])
  })

  test.each([
    ['a format', ['--format', 'ppk1'], /one of: openssh/],
    ['an empty name', ['-f', ''], /empty/],
    ['a comment of two lines', ['-C', 'a\nb'], /one line/],
    ['no passphrase and a file with one', ['--passphrase-file', 'secret'], /contradict/],
  ] as [string, string[], RegExp][])('%s', async (_, more, says) => {
    const args = ['gen', '-t', 'ed25519', '-f', 'w/key', '--no-passphrase', ...more]
    await expectRefused(home, args, { status: 2, code: 'usage', says })
  })
})

describe('a format that can not be encrypted', () => {
  test('only with --no-passphrase: 4', async () => {
    const refusal = { status: 4, code: 'refused', says: /can't be encrypted[\s\S]*--no-passphrase/ }
    await expectRefused(home, ['gen', '--format', 'jwk', '-f', 'w/key'], refusal)
    await expectRefused(home, ['gen', '--format', 'jwk', '-f', 'w/key', '--passphrase-file', 'secret'], refusal)
  })
})

test('an empty passphrase, or none that could be asked for: 5 at once', async () => {
  const refusal = { status: 5, code: 'secret-needed', says: /--no-passphrase/ }
  await expectRefused(home, ['gen', '-f', 'w/key', '--passphrase-file', 'empty'], refusal)
  await expectRefused(home, ['gen', '-f', 'w/key'], refusal)
  await expectRefused(home, ['gen', '--count', '3', '-f', 'w/%d'], refusal)
})

describe('--count', () => {
  const fleet = ['gen', '--no-passphrase', '--count']

  test('names the files, and the keys after them; folders are made, 0700', async () => {
    const out = await succeed(home, [...fleet, '12', '-f', 'w/fleet/web-%02d', '--json'])
    const names = Array.from({ length: 12 }, (_, i) => `web-${String(i + 1).padStart(2, '0')}`)
    expect(await readdir(at('w/fleet'))).toEqual(names.flatMap(name => [name, `${name}.pub`]))
    expect((await stat(at('w/fleet'))).mode & 0o777).toBe(0o700)
    const facts: Record<string, Record<string, string>>[] = JSON.parse(out)
    expect(facts.map(({ path }) => path)).toEqual(names.map(name => at(`w/fleet/${name}`)))
    expect(facts.map(({ comment }) => comment)).toEqual(names)
    expect(new Set(facts.map(({ fingerprint }) => fingerprint?.['sha256'])).size).toBe(12)
    for (const name of names) {
      const { stdout } = await runOrThrow(peerPath('ssh-keygen'), ['-y', '-P', '', '-f', at(`w/fleet/${name}`)])
      expect(stdout).toBe(await readFile(at(`w/fleet/${name}.pub`), 'utf8'))
      expect(stdout).toMatch(new RegExp(` ${name}\n$`))
    }
  })

  test('a comment of its own, with the number or without; %% is a %', async () => {
    await succeed(home, [...fleet, '2', '-f', 'w/%d', '-C', 'host %03d of 100%%'])
    expect(await readFile(at('w/2.pub'), 'utf8')).toMatch(/ host 002 of 100%\n$/)
    await succeed(home, [...fleet, '2', '-f', 'w/same%d%%', '-C', 'all the same'])
    expect(await readFile(at('w/same2%.pub'), 'utf8')).toMatch(/ all the same\n$/)
  })

  test('one passphrase for all', async () => {
    const { status } = await runIn(home, [
      'gen',
      '--count',
      '2',
      '-f',
      'w/%d',
      '--passphrase-file',
      'secret',
      '--rounds',
      '1',
    ])
    expect(status).toBe(0)
    for (const name of ['1', '2']) {
      await runOrThrow(peerPath('ssh-keygen'), ['-y', '-P', SECRET, '-f', at(`w/${name}`)])
    }
  })

  test('many are summed up, a few are shown; without --json', async () => {
    const many = await succeed(home, [...fleet, '20', '-f', 'w/many-%02d'])
    expect(many).toMatch(/^ok 20 keys {2}w\/many-01 to w\/many-20, each with its \.pub\n {2}OpenSSH, not encrypted\n$/)
    const few = await succeed(home, [...fleet, '2', '-f', 'w/few-%d'])
    expect(few.match(/^ok private key/gm)).toHaveLength(2)
    expect(await succeed(home, [...fleet, '2', '-f', 'w/quiet-%d', '--quiet'])).toBe('')
  })

  test.each([['w/n-3'], ['w/n-3.pub']])('one file in the way, %s, blocks all: 4', async there => {
    await writeFile(at(there), 'mine\n')
    const args = [...fleet, '3', '-f', 'w/n-%d']
    await expectRefused(home, args, { status: 4, code: 'exists', says: /w\/n-3\S* is there already[\s\S]*--force/ })
    await succeed(home, [...args, '--force'])
    expect(await readdir(at('w'))).toEqual(['n-1', 'n-1.pub', 'n-2', 'n-2.pub', 'n-3', 'n-3.pub'])
  })

  test('a dangling link is in the way, too', async () => {
    await symlink('nowhere', at('w/n-2'))
    const { status } = await runIn(home, [...fleet, '3', '-f', 'w/n-%d'])
    expect(status).toBe(4)
    expect(await readdir(at('w'))).toEqual(['n-2'])
  })

  test.each([
    ['a pattern without a number', ['3', '-f', 'w/key'], /all the keys the same[\s\S]*%02d/],
    ['only %%', ['3', '-f', 'w/key%%d'], /all the keys the same/],
    ['one key, and no number', ['1', '-f', 'w/key'], /./],
    ['no pattern', ['3'], /pattern[\s\S]*-f/],
    ['none', ['0', '-f', 'w/%d'], /--count/],
    ['less than none', ['-1', '-f', 'w/%d'], /./],
    ['no number', ['x', '-f', 'w/%d'], /--count/],
    ['too many', ['100001', '-f', 'w/%d'], /100000/],
    ['a comment of two lines', ['2', '-f', 'w/%d', '-C', '%d\n'], /one line/],
  ] as [string, string[], RegExp][])('%s: 2', async (_, more, says) => {
    await expectRefused(home, [...fleet, ...more], { status: 2, code: 'usage', says })
  })

  test.each([
    ['each by itself', ['--passphrase-file', 'secret', '--rounds', '1'], SECRET],
    ['in batches', ['--no-passphrase'], ''],
  ])('on a disk that gets full, %s: it says how many stand, and those are whole', async (_, how, passphrase) => {
    await mkdir(at('w/disk'))
    await runOrThrow('/usr/bin/mount', ['-t', 'tmpfs', '-o', 'size=1200k,mode=700', 'none', at('w/disk')])
    const duty = leaveDuty('umount "$1"', at('w/disk'))
    try {
      const { status, stdout, stderr } = await runIn(home, ['gen', '--count', '400', '-f', 'w/disk/%03d', ...how])
      expect([status, stdout]).toEqual([1, ''])
      const said = /the disk is full\n {2}(\d+) of 400 keys were made before that, and stand\n$/.exec(stderr)
      const names = await readdir(at('w/disk'))
      const stand = names.filter(name => !name.endsWith('.pub'))
      expect([said?.[1], stderr]).toEqual([String(stand.length), stderr])
      expect(stand.length).toBeGreaterThan(0)
      expect(names).toEqual(stand.flatMap(name => [name, `${name}.pub`]))
      for (const name of stand.filter((_each, i) => i % 16 === 0)) {
        const args = ['-y', '-P', passphrase, '-f', at(`w/disk/${name}`)]
        const { stdout: line } = await runOrThrow(peerPath('ssh-keygen'), args)
        expect(line).toBe(await readFile(at(`w/disk/${name}.pub`), 'utf8'))
      }
    } finally {
      expect(await duty.perform()).toBe(0)
    }
  })
})

describe('a passphrase that looks the same', () => {
  const forms = { NFC: 'caf\u00e9 \u0159e\u0159icha', NFD: 'cafe\u0301 r\u030cer\u030cicha' }

  test.each([
    ['NFC', 'NFD'],
    ['NFD', 'NFC'],
  ] as const)('a file sealed with %s, a passphrase file in %s: 5, and why', async (sealed, given) => {
    const args = ['-q', '-t', 'ed25519', '-a', '1', '-C', 'c', '-N', forms[sealed], '-f', at('w/key')]
    await runOrThrow(peerPath('ssh-keygen'), args, { env: home.env })
    await chmod(at('w/key'), 0o600)
    await writeFile(at('w/given'), `${forms[given]}\n`)
    const refusal = {
      status: 5,
      code: 'secret-wrong',
      says: new RegExp(`wrong passphrase for w/key[\\s\\S]*\\(${sealed}: `),
    }
    const secrets = { secrets: Object.values(forms) }
    const unlocking = ['--passphrase-file', 'w/given']
    await expectRefused(home, ['convert', 'w/key', '--to', 'ppk', ...unlocking], refusal, secrets)
    await expectRefused(home, ['comment', 'w/key', 'another', ...unlocking], refusal, secrets)
    await expectRefused(home, ['passphrase', 'w/key', '--remove', ...unlocking], refusal, secrets)
    await writeFile(at('w/given'), `${forms[sealed]}\n`)
    await succeed(home, ['passphrase', 'w/key', '--remove', ...unlocking])
  })

  test('what gen is given is not changed: each form opens its own', async () => {
    for (const [form, text] of Object.entries(forms)) {
      await writeFile(at('w/given'), `${text}\n`)
      await succeed(home, ['gen', '-f', `w/${form}`, '--passphrase-file', 'w/given', '--rounds', '1'])
      await runOrThrow(peerPath('ssh-keygen'), ['-y', '-P', text, '-f', at(`w/${form}`)])
      const other = form === 'NFC' ? forms.NFD : forms.NFC
      expect((await run(peerPath('ssh-keygen'), ['-y', '-P', other, '-f', at(`w/${form}`)])).status).not.toBe(0)
    }
  })
})

test('no progress in a pipe', async () => {
  const { status, stderr } = await runIn(home, ['gen', '-t', 'rsa', '-b', '4096', '-f', 'w/key', '--no-passphrase'])
  expect([status, stderr]).toEqual([0, ''])
})
