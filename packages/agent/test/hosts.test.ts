import { execFileSync } from 'node:child_process'
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generate, hideName, type PrivateKey, writePublicLine } from '@keytool/keygen'
import { namesInConfig, namesInWords } from '../src/hosts/host-words.js'
import { createHosts, type Hosts } from '../src/hosts/hosts.js'
import { certify } from './hosts.js'
import { makeTemporary } from './support.js'

let web: PrivateKey
let db: PrivateKey
let authority: PrivateKey
let home: string
let hosts: Hosts
let clock: number

beforeAll(async () => {
  const made = await Promise.all([1, 2, 3].map(() => generate('ed25519')))
  ;[web, db, authority] = made as [PrivateKey, PrivateKey, PrivateKey]
})

beforeEach(async () => {
  home = await makeTemporary()
  await mkdir(join(home, '.ssh'), { mode: 0o700 })
  clock = Date.UTC(2030, 0, 1)
  hosts = createHosts({ home, systemFiles: [], now: () => clock })
})

const known = () => join(home, '.ssh', 'known_hosts')
const entry = (names: string, key: PrivateKey, marker = '') =>
  `${marker && `@${marker} `}${names} ${writePublicLine(key.publicKey.withComment(''))}`
/** Written, and time for it to be noticed. */
async function write(...lines: string[]): Promise<void> {
  await writeFile(known(), lines.join(''))
  clock += 1000
}
const namesOf = (key: PrivateKey, ...hints: string[]) => hosts.namesOf(key.publicKey, hints)

describe('the names of a host', () => {
  test('stand in the clear, on several lines, with their ports', async () => {
    await write(entry('Web.example,192.0.2.1', web), entry('db', db), entry('[web.example]:2222', web))
    expect(namesOf(web)).toEqual(['web.example', '192.0.2.1', '[web.example]:2222'])
    expect(namesOf(db)).toEqual(['db'])
    expect(namesOf(authority)).toEqual([])
  })

  test('hidden: found by the command line, with its port', async () => {
    const hidden = [hideName('web.example'), hideName('[web.example]:2222')]
    await write(...hidden.map(names => entry(names, web)), entry(hideName('db'), db))
    expect(namesOf(web)).toEqual([])
    expect(namesOf(web, 'ssh', 'git@web.example', 'git-upload-pack')).toEqual(['web.example'])
    expect(namesOf(web, 'ssh', '-p', '2222', 'git@WEB.example')).toEqual(['web.example', '[web.example]:2222'])
    expect(namesOf(db, 'ssh', '-p', '2222', 'git@web.example')).toEqual([])
  })

  test('hidden: found by ssh’s config, and by other lines', async () => {
    await writeFile(join(home, '.ssh', 'config'), 'Host w\n  HostName web.example\n  Port 2222\n')
    await write(`${hideName('[web.example]:2222')} ${writePublicLine(web.publicKey)}`, entry(hideName('db'), db))
    expect(namesOf(web)).toEqual(['[web.example]:2222'])
    expect(namesOf(db)).toEqual([])
    await write(await readFile(known(), 'utf8'), entry('db', web))
    expect(namesOf(db)).toEqual(['db'])
  })

  test('what the hints have comes first', async () => {
    await write(entry('192.0.2.1,web', web), entry(hideName('web.example'), web))
    expect(namesOf(web, 'ssh', 'web.example')).toEqual(['web.example', '192.0.2.1', 'web'])
    expect(namesOf(web, 'ssh', 'web')).toEqual(['web', '192.0.2.1'])
  })

  test('by a pattern: only those that are hinted at, and not those it rules out', async () => {
    await write(entry('*.example,!bad.example', web), entry('other.example', db))
    expect(namesOf(web)).toEqual([])
    expect(namesOf(web, 'ssh', 'good.example')).toEqual(['good.example'])
    expect(namesOf(web, 'ssh', 'bad.example')).toEqual([])
  })

  test('a key that is revoked anywhere has none', async () => {
    await write(entry('web', web), entry('*', web, 'revoked'), entry('db', db))
    expect(namesOf(web, 'ssh', 'web')).toEqual([])
    expect(namesOf(db)).toEqual(['db'])
    expect(await hosts.keysOf('web')).toEqual([])
  })

  test('a line of an authority names no host that shows its key', async () => {
    await write(entry('web', authority, 'cert-authority'))
    expect(namesOf(authority, 'ssh', 'web')).toEqual([])
  })
})

describe('the names of a host with a certificate', () => {
  const ca = (names = '*.example') => write(entry(names, authority, 'cert-authority'))
  const shown = async (claims: Parameters<typeof certify>[2], ...hints: string[]) =>
    hosts.namesOf(await certify(web, authority, claims), hints)

  test('are those it is for, as far as its authority is trusted with them', async () => {
    await ca()
    expect(await shown({ principals: ['web.example', 'web.elsewhere', 'web'] })).toEqual(['web.example'])
  })

  test('the hints find those it is for by a pattern, and ports', async () => {
    await ca('*.example,[*.example]:2222')
    expect(await shown({ principals: ['*.example'] })).toEqual([])
    expect(await shown({ principals: ['*.example'] }, 'ssh', '-p', '2222', 'a.example')).toEqual([
      'a.example',
      '[a.example]:2222',
    ])
    expect(await shown({ principals: ['web.example'] }, 'ssh', 'a.example')).toEqual(['web.example'])
  })

  test.each<[string, Parameters<typeof certify>[2]]>([
    ['a user’s', { kind: 1, principals: ['web.example'] }],
    ['for nobody', { principals: [] }],
    ['expired', { principals: ['web.example'], before: BigInt(Date.UTC(2029, 0) / 1000) }],
    ['not valid yet', { principals: ['web.example'], after: BigInt(Date.UTC(2031, 0) / 1000) }],
  ])('%s: none', async (_, claims) => {
    await ca()
    expect(await shown(claims)).toEqual([])
  })

  test('one that expires meanwhile has no names any more', async () => {
    await ca()
    const certificate = await certify(web, authority, {
      principals: ['web.example'],
      before: BigInt(clock / 1000 + 60),
    })
    expect(hosts.namesOf(certificate, [])).toEqual(['web.example'])
    clock += 60_000
    expect(hosts.namesOf(certificate, [])).toEqual([])
  })

  test('its authority is unknown or revoked, or its key is', async () => {
    const claims = { principals: ['web.example'] }
    expect(await shown(claims)).toEqual([])
    await write(entry('*', authority, 'cert-authority'), entry('*', authority, 'revoked'))
    expect(await shown(claims)).toEqual([])
    await write(entry('*', authority, 'cert-authority'), entry('*', web, 'revoked'))
    expect(await shown(claims)).toEqual([])
  })

  test('the plain key in it counts too, as for ssh', async () => {
    await write(entry('old.example', web))
    expect(await shown({ principals: ['web.example'] })).toEqual(['old.example'])
  })
})

describe('the files', () => {
  test('are looked at once a second, and read when they changed', async () => {
    await write(entry('web', web))
    expect(namesOf(web)).toEqual(['web'])
    await writeFile(known(), entry('web2', web))
    expect(namesOf(web)).toEqual(['web'])
    clock += 1000
    expect(namesOf(web)).toEqual(['web2'])
    await rename(known(), `${known()}.gone`)
    clock += 1000
    expect(namesOf(web)).toEqual([])
    clock -= 3_600_000
    await rename(`${known()}.gone`, known())
    expect(namesOf(web)).toEqual(['web2'])
  })

  test('a hundred thousand questions read nothing', async () => {
    await write(entry('web', web))
    expect(namesOf(web)).toEqual(['web'])
    const first = namesOf(web, 'ssh', 'web')
    // Nobody would read what is not there any more.
    await rm(known())
    for (let i = 0; i < 100_000; i++) namesOf(web, 'ssh', 'web')
    expect(namesOf(web, 'ssh', 'web')).toBe(first)
  })

  test.each([
    ['UTF-16', Buffer.from('\ufeffweb ssh-ed25519 AAAA', 'utf16le')],
    ['bytes', Buffer.from([0, 255, 10, 0])],
    ['lines that are none', Buffer.from('web\n@x y\n|1|a|b ssh-ed25519 AAAA\n, ssh-rsa\n')],
  ])('%s say nothing, and the others go on', async (_, bytes) => {
    await writeFile(join(home, '.ssh', 'known_hosts2'), entry('web', web))
    await write(bytes.toString('latin1'))
    await writeFile(known(), bytes)
    expect(namesOf(web)).toEqual(['web'])
  })

  test('a pipe, a folder, a link to nothing: nobody waits', async () => {
    execFileSync('mkfifo', [known()])
    await mkdir(join(home, '.ssh', 'known_hosts2'))
    await symlink('nowhere', join(home, '.ssh', 'config'))
    expect(namesOf(web)).toEqual([])
    expect(await hosts.keysOf('web')).toEqual([])
  })

  test('one without a folder says nothing', () => {
    const other = createHosts({ home: join(home, 'gone'), systemFiles: [] })
    expect(other.namesOf(web.publicKey, [])).toEqual([])
  })
})

describe('the keys of a host', () => {
  const keysOf = async (host: string) =>
    (await hosts.keysOf(host)).map(({ key, isAuthority }) => [
      isAuthority,
      [web, db, authority].findIndex(each => each.publicKey.equals(key)),
    ])

  test('all of them: plain, hidden, by a pattern, authorities', async () => {
    await write(
      entry('web.example', web),
      entry(hideName('web.example'), db),
      entry('*.example', authority, 'cert-authority'),
      entry('web.example', web),
      entry('other.example', authority),
    )
    const all = [
      [false, 0],
      [false, 1],
      [true, 2],
    ]
    expect(await keysOf('web.example')).toEqual(all)
    expect(await keysOf('WEB.example')).toEqual(all)
    expect(await keysOf('[web.example]:22')).toEqual(all)
    expect(await keysOf('[web.example]:2222')).toEqual([])
    expect(await keysOf('web')).toEqual([])
  })

  test('a change is seen at once', async () => {
    await write(entry('web', web))
    expect(await keysOf('web')).toEqual([[false, 0]])
    await writeFile(known(), entry('web', web) + entry('web', db))
    expect(await keysOf('web')).toHaveLength(2)
  })
})

describe('words of a command line', () => {
  test.each([
    ['ssh git@github.com', ['ssh', 'github.com']],
    ['ssh -p 2222 hana@web', ['ssh', '[ssh]:2222', '2222', '[2222]:2222', 'web', '[web]:2222']],
    ['ssh -p2222 web', ['ssh', '[ssh]:2222', 'web', '[web]:2222']],
    ['ssh -oPort=2222 web', ['ssh', '[ssh]:2222', 'web', '[web]:2222']],
    ['scp -P 2222 web:a/b .', expect.arrayContaining(['[web]:2222'])],
    ['git clone ssh://git@web:2222/a/b.git', expect.arrayContaining(['web', '[web]:2222'])],
    ['rsync hana@[2001:db8::1]:a', expect.arrayContaining(['2001:db8::1'])],
    ['ssh 2001:db8::1', expect.arrayContaining(['2001:db8::1'])],
    ['ssh -J hana@gate:2200,relay web', expect.arrayContaining(['gate', '[gate]:2200', 'relay', 'web'])],
    ['ssh -Jgate web', expect.arrayContaining(['gate', 'web'])],
    ['ssh -o HostName=real alias', expect.arrayContaining(['real', 'alias'])],
    ['ssh hana@corp@web', expect.arrayContaining(['web'])],
  ])('%s', (line, names) => {
    expect(namesInWords(line.split(' '))).toEqual(names)
  })

  test('hostile ones are bounded', () => {
    expect(namesInWords(['x'.repeat(1_000_000), '-', '', '@', ':', '://', '\u0000', 'a b'])).toEqual([])
    expect(namesInWords(Array.from({ length: 100_000 }, (_, i) => `h${i}:${i % 60000}`)).length).toBeLessThanOrEqual(
      4096,
    )
  })
})

test('a config, as far as it is plain', () => {
  const text = `
Port 99
Host w web* !bad "q"
  HostName = %h.example
  port=2222   # why
host d
\tHOSTNAME db.example
  HostKeyAlias Alias
  IdentityFile ~/.ssh/x
Match host z
  HostName zed
Include other
`
  expect(namesInConfig(text)).toEqual([
    'w',
    '[w]:2222',
    'q',
    '[q]:2222',
    'w.example',
    '[w.example]:2222',
    'q.example',
    '[q.example]:2222',
    'd',
    'db.example',
    'alias',
    'zed',
  ])
})
