import { chmod, chown, mkdir, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { jest } from '@jest/globals'
import { isKeytoolError } from '@keytool/keygen'
import fc from 'fast-check'
import { readSshConfig } from '../packages/tunnel/src/config/ssh-config/read.js'
import type { HostSettings } from '../packages/tunnel/src/config/ssh-config/settings.js'
import { type Dump, readDump, renderSettings } from './tunnel-config/dump.js'
import { randomRow } from './tunnel-config/random.js'
import { type Row, rows } from './tunnel-config/rows.js'
import type { Folder } from './world/folder.js'
import { homeless } from './world/home.js'
import { newestSuites, ownSuite } from './world/newest.js'
import { run } from './world/run.js'

// Our reading of ssh_config beside OpenSSH's own (`ssh -G`), setting by setting.

jest.setTimeout(120_000)

const RUNS = 60

/** A row's home as we see it and as ssh does, and whom ssh takes for the user. */
interface Trial {
  readonly home: string
  readonly seen: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

for (const suite of [ownSuite(), ...newestSuites()]) {
  describe(`OpenSSH of ${suite.name}`, () => {
    let folder: Folder
    let version: number
    let defaults: string
    const user = userInfo()
    /** ssh asks passwd for the home, not HOME; `Include` alone asks HOME. */
    let theirHome: string
    let made = 0

    beforeAll(async () => {
      folder = await suite.temporaryFolder()
      await chmod(folder.path, 0o755)
      version = readVersion(await suite.version('ssh'))
      defaults = (await runSsh(['-G', '-F', 'none', 'web1'])).stdout
      theirHome = /^userknownhostsfile (.*?)\/\.ssh/m.exec(defaults)?.[1] ?? ''
    })
    afterAll(() => folder.dispose())

    async function runSsh(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
      const [program = '', ...before] = suite.command('ssh')
      return run(program, [...before, ...args], { env: { ...homeless, ...env } })
    }

    async function prepare(row: Row): Promise<Trial> {
      const home = join(folder.path, String(made++))
      const seen = suite.inside(home)
      const put = (text: string, homeThere: string) =>
        text.replaceAll('{home}', homeThere).replaceAll('{user}', user.username)
      const files = { ...row.files, config: put(row.config, seen), 'config.ours': put(row.config, home) }
      for (const [name, text] of Object.entries(files)) {
        await mkdir(dirname(join(home, name)), { recursive: true })
        await writeFile(join(home, name), text)
        await chmod(join(home, name), 0o644)
      }
      const args = [
        ...(row.extra ?? []).flatMap(option => ['-o', option]),
        ...(row.user === undefined ? [] : ['-l', row.user]),
        ...(row.port === undefined ? [] : ['-p', String(row.port)]),
      ]
      return {
        home,
        seen,
        args: ['-F', join(seen, 'config'), ...args, row.host ?? 'web1'],
        env: { HOME: seen, ...row.env },
      }
    }

    function readOurs({ home }: Trial, row: Row): Promise<HostSettings> {
      const query = { host: row.host ?? 'web1', user: row.user, port: row.port, localUser: user.username, home }
      return readSshConfig(query, { file: join(home, 'config.ours'), extra: row.extra, env: { ...row.env } })
    }

    /** Both readings; `undefined` where one refuses. */
    async function readBoth(row: Row): Promise<{ theirs?: Dump; ours?: Dump; why: string }> {
      const trial = await prepare(row)
      const { status, stdout, stderr } = await runSsh(['-G', ...trial.args], trial.env)
      const settings = await readOurs(trial, row).catch(error => {
        if (isKeytoolError(error)) return String(error.message)
        throw error
      })
      const usual = readDump(defaults, theirHome)
      return {
        why: `${stderr}\n${typeof settings === 'string' ? settings : ''}`,
        ...(status === 0 && { theirs: readDump(stdout, theirHome) }),
        ...(typeof settings === 'object' && { ours: renderSettings(settings, usual, trial.home, theirHome) }),
      }
    }

    test('every row is read as ssh reads it', async () => {
      const tried = rows.filter(({ since = 0 }) => version >= since)
      expect(tried.length).toBeGreaterThan(130)
      const different: unknown[] = []
      await eachOf(tried, async row => {
        const { ours, theirs, why } = await readBoth(row)
        if (row.isBad ? ours || theirs : !ours || !theirs)
          different.push({ row: row.name, ours: !!ours, theirs: !!theirs, why })
        else different.push(...differences(row.name, ours, theirs))
      })
      expect(different).toEqual([])
    })

    test('files of keys are those that ssh looks for', async () => {
      const config = [
        'HostName Real\nPort 2201\nUser deploy\nHostKeyAlias AL\nProxyCommand exit 1\nIdentityFile %d/a-%h-%n-%p-%r-%u-%i-%L-%k-%%',
        'IdentityFile "~/b c"\nIdentityFile ~//d\nIdentityFile none\nIdentityFile $' +
          '{KT_K}/e\nIdentityFile ~/f-%C\n',
      ].join('\n')
      const row: Row = { name: 'keys', config, env: { KT_K: '/k' } }
      const trial = await prepare(row)
      const { stderr } = await runSsh(['-v', '-o', 'BatchMode=yes', ...trial.args], trial.env)
      const theirs = Array.from(stderr.matchAll(/identity file (.*) type -?\d+/g), ([, file = '']) => file)
      const { identityFiles = [] } = await readOurs(trial, row)
      expect(identityFiles).toHaveLength(5)
      // Beside each some look for a certificate; a home of / has one slash more in %d.
      const ours = identityFiles.map(file => file.replaceAll(trial.home, theirHome))
      expect(ours).toEqual(theirs.filter(file => !file.endsWith('-cert')).map(file => file.replace(/^\/\//, '/')))
    })

    test('an include that others can write, or of another user, is refused', async () => {
      for (const [mode, owner] of [
        [0o666, 0],
        [0o622, 0],
        [0o644, 12345],
      ] as const) {
        const row: Row = { name: 'mode', config: 'Include a.conf\n', files: { '.ssh/a.conf': 'Port 2\n' } }
        const trial = await prepare(row)
        const file = join(trial.home, '.ssh/a.conf')
        await chmod(file, mode)
        await chown(file, owner, owner)
        const { status, stderr } = await runSsh(['-G', ...trial.args], trial.env)
        expect([status, stderr]).toEqual([255, expect.stringContaining('Bad owner or permissions')])
        await expect(readOurs(trial, row)).rejects.toMatchObject({
          code: 'refused',
          message: expect.stringContaining('bad owner or permissions'),
        })
      }
    })

    test('and so is anything else', async () => {
      await fc.assert(
        fc.asyncProperty(randomRow, async row => {
          const { ours, theirs, why } = await readBoth(row)
          if (!ours || !theirs) throw new Error(why)
          expect(differences(row.config, ours, theirs)).toEqual([])
        }),
        { numRuns: RUNS },
      )
    })
  })
}

test("this machine's own files are read as they are", async () => {
  const ssh = ownSuite()
  const [program = '', ...before] = ssh.command('ssh')
  const ask = async (args: readonly string[]) => {
    const { status, stdout, stderr } = await run(program, [...before, '-G', ...args, 'web1'])
    if (status !== 0) throw new Error(stderr)
    return stdout
  }
  const { homedir, username } = userInfo()
  const theirs = readDump(await ask([]), homedir)
  const settings = await readSshConfig({ host: 'web1', localUser: username, home: homedir })
  expect(settings.files).toContain('/etc/ssh/ssh_config')
  const usual = readDump(await ask(['-F', 'none']), homedir)
  expect(differences('own', renderSettings(settings, usual, homedir, homedir), theirs)).toEqual([])
})

/** One place in a version, as a number: 10.0 is 1000, 9.2 is 902. */
function readVersion(text: string): number {
  const [, major = '0', minor = '0'] = /^(\d+)\.(\d+)/.exec(text) ?? []
  return Number(major) * 100 + Number(minor)
}

function differences(row: string, ours: Dump = {}, theirs: Dump = {}): unknown[] {
  const keywords = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])]
  return keywords
    .filter(keyword => JSON.stringify(ours[keyword]) !== JSON.stringify(theirs[keyword]))
    .map(keyword => ({ row, keyword, ours: ours[keyword], theirs: theirs[keyword] }))
}

/** A few at a time: each is a process. */
async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items]
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item)
    }),
  )
}
