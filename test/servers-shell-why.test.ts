import { chmod, chown, mkdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { jest } from '@jest/globals'
import { generate, type PrivateKey } from '@keytool/keygen'
import {
  type Connection,
  connect,
  explainRefusal,
  formatAuthorizedKey,
  openKeyFile,
  verifyKeyAlone,
} from '@keytool/tunnel'
import { openShellWorld, type ShellWorld } from './servers-shell-world.js'
import { leaveDuty } from './world/duty.js'
import { run, runOrThrow } from './world/run.js'
import { startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

// Why a real sshd refuses a key that should let its user in: said by itself, or found without a word of it.

jest.setTimeout(120_000)

let world: ShellWorld
/** In the same group: Debian's sshd lets a group write that is the user's alone. */
let neighbour: SystemUser
let key: PrivateKey
let line: string

beforeAll(async () => {
  world = await openShellWorld()
  neighbour = await createUser()
  key = await generate('ed25519', { comment: 'mine' })
  line = `${formatAuthorizedKey(key.publicKey)}\n`
})

afterAll(async () => {
  await neighbour.dispose()
  await world.close()
})

const home = () => world.user.home
const ssh = () => join(home(), '.ssh')
const file = () => world.user.authorizedKeysFile

async function explain(connection: Connection) {
  return explainRefusal(connection, await openKeyFile(connection), key.publicKey)
}

/** A connection that offered the key in vain, and then got in by password. */
async function offer<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = await connect(world.login({ signers: [key], askPassword: async () => world.user.password }))
  try {
    expect(connection.admission.method).toBe('password')
    return await work(connection)
  } finally {
    await connection.close()
  }
}

interface Fault {
  readonly what: string
  readonly break: () => Promise<unknown>
  readonly cause: string
  /** What sshd says of it; absent where it says nothing. */
  readonly said?: RegExp
  /** What is seen on the server without that. */
  readonly found?: RegExp
  readonly remedy: string | RegExp
}

const faults: readonly Fault[] = [
  {
    what: 'a home that everybody may write to',
    break: () => chmod(home(), 0o777),
    cause: 'permissions',
    said: /^the server says: Ignored authorized keys: bad ownership or modes for directory /,
    found: /^~ may be written by its group and everybody \(mode 0777\)$/,
    remedy: 'chmod go-w ~',
  },
  {
    what: '.ssh in a folder where everybody puts things, which nobody is told to close',
    break: async () => {
      const shared = join(home(), '..', 'shared')
      await rm(shared, { recursive: true, force: true })
      await mkdir(shared)
      await chmod(shared, 0o1777)
      await rename(ssh(), join(shared, 'keys'))
      await symlink(join(shared, 'keys'), ssh())
    },
    cause: 'permissions',
    said: /bad ownership or modes for directory/,
    found: /shared may be written by its group and everybody \(mode 1777\)$/,
    remedy: /^cp -RL ~\/\.ssh ~\/\.ssh\.new && mv /,
  },
  {
    what: '.ssh that its group may write to',
    break: () => chmod(ssh(), 0o770),
    cause: 'permissions',
    said: /bad ownership or modes for directory/,
    found: /^~\/\.ssh may be written by its group \(mode 0770\)$/,
    remedy: 'chmod go-w ~/.ssh',
  },
  {
    what: 'a file that everybody may write to',
    break: () => chmod(file(), 0o606),
    cause: 'permissions',
    said: /bad ownership or modes for file/,
    found: /^~\/\.ssh\/authorized_keys may be written by everybody \(mode 0606\)$/,
    remedy: 'chmod go-w ~/.ssh/authorized_keys',
  },
  {
    what: 'a file of another user’s',
    break: async () => {
      await chown(file(), 1, 1)
      await chmod(file(), 0o644)
    },
    cause: 'permissions',
    said: /bad ownership or modes for file/,
    found: /^~\/\.ssh\/authorized_keys belongs to another user \(number 1\)$/,
    remedy: /^sudo chown \d+ ~\/\.ssh\/authorized_keys$/,
  },
  {
    what: 'from= with another address',
    break: () => writeFile(file(), `# one\nfrom="192.0.2.1" ${line}`),
    cause: 'line-options',
    said: /:2: Your host '127\.0\.0\.1' is not permitted to use this key/,
    found: /^~\/\.ssh\/authorized_keys line 2 limits the key: from="192\.0\.2\.1"$/,
    remedy: /^sed -n 2p \/.*authorized_keys$/,
  },
  {
    what: 'a time that is over',
    break: () => writeFile(file(), `expiry-time="20200101" ${line}`),
    cause: 'line-options',
    said: /:1: entry expired at/,
    found: /line 1 limits the key: expiry-time/,
    remedy: /^sed -n 1p /,
  },
  {
    what: 'an option the server does not know',
    break: () => writeFile(file(), `no-such-option ${line}`),
    cause: 'line-options',
    said: /:1: bad key options: /,
    remedy: /^sed -n 1p /,
  },
  {
    what: 'a file without the key',
    break: () => writeFile(file(), `# ${line}`),
    cause: 'absent',
    found: /^no line of ~\/\.ssh\/authorized_keys lets this key in$/,
    remedy: 'cat ~/.ssh/authorized_keys',
  },
]

describe.each(faults)('$what', ({ break: fault, cause, said, found, remedy }) => {
  beforeAll(async () => {
    await world.begin(line)
    await fault()
  })

  afterAll(async () => {
    await chmod(home(), 0o700)
  })

  test('is named: as the server says, where the key was offered on this connection', async () => {
    const before = [
      await readFile(file()),
      (await stat(file())).mode,
      (await stat(ssh())).mode,
      (await stat(home())).mode,
    ]
    const report = await offer(explain)
    expect(report).toMatchObject({ cause, remedy: expect.stringMatching(remedy) })
    const first = said ?? found
    if (first) expect(report.evidence[0]).toMatch(first)
    expect([
      await readFile(file()),
      (await stat(file())).mode,
      (await stat(ssh())).mode,
      (await stat(home())).mode,
    ]).toEqual(before)
  })

  test('… and also where it was not', async () => {
    expect(world.connection.remarks).toEqual([])
    const report = await explain(world.connection)
    if (found) {
      expect(report).toMatchObject({ cause, remedy: expect.stringMatching(remedy) })
      expect(report.evidence[0]).toMatch(found)
    } else {
      // Only sshd knows its own options.
      expect(report).toMatchObject({ cause: 'absent' })
    }
  })
})

test('what is in order is not blamed', async () => {
  await world.begin(line)
  expect(await verifyKeyAlone(world.login(), key)).toMatchObject({ admittedBy: { line: 1 } })
  expect(await explain(world.connection)).toEqual({
    cause: 'unknown',
    evidence: [],
    remedy: expect.stringContaining('journalctl'),
  })
})

/** Other tests may have passwd or group open in that moment, too. */
const removal = 'for try in $(seq 40); do usermod -g nogroup "$1" && groupdel "$2" && exit; sleep 0.25; done'

test('a group of the user alone may write, as Debian’s sshd has it', async () => {
  const group = `${world.user.name}g`
  const duty = leaveDuty(removal, world.user.name, group)
  try {
    await retry('/usr/sbin/groupadd', group)
    await retry('/usr/sbin/usermod', '-g', group, world.user.name)
    await world.begin(line)
    await runOrThrow('/usr/bin/chgrp', ['-R', group, home()])
    await chmod(file(), 0o664)
    const connection = await world.enter()
    try {
      expect(await verifyKeyAlone(world.login(), key)).toMatchObject({ admittedBy: { line: 1 } })
      expect(await explain(connection)).toMatchObject({ cause: 'unknown' })
    } finally {
      await connection.close()
    }
  } finally {
    await duty.perform()
    await runOrThrow('/usr/bin/chgrp', ['-R', String(world.user.gid), home()])
  }
})

/** Other tests may have passwd or group open in this moment. */
async function retry(program: string, ...args: string[]): Promise<void> {
  for (let tries = 0; tries < 40; tries++) {
    if ((await run(program, args)).status === 0) return
    await sleep(250)
  }
  await runOrThrow(program, args)
}

describe('a server that looks elsewhere', () => {
  /** Another server for the same account, whose settings that account may read. */
  async function under<T>(config: readonly string[], work: (connection: Connection) => Promise<T>): Promise<T> {
    const sshd = await startSshd({ users: [world.user], config, hostKeyFiles: world.sshd.hostKeyFiles })
    const folder = dirname(
      /-f (\S+)/.exec(
        await readFile(`/proc/${sshd.pid}/cmdline`, 'latin1').then(text => text.replaceAll('\0', ' ')),
      )?.[1] ?? '',
    )
    await chmod(folder, 0o711)
    await chmod(join(folder, 'sshd_config'), 0o644)
    await writeFile(join(world.home.ssh, 'known_hosts'), world.sshd.knownHosts + sshd.knownHosts)
    try {
      const connection = await connect(
        world.login({ port: sshd.port, signers: [], askPassword: async () => world.user.password }),
      )
      try {
        return await work(connection)
      } finally {
        await connection.close()
      }
    } finally {
      await sshd.stop()
    }
  }

  test.each([
    [
      'everybody’s',
      ['AuthorizedKeysFile /etc/keys/%u .keys/%%-%u'],
      'line 1',
      /^sudo tee -a \/etc\/keys\/ktest\w+ < ~\/\.ssh\/authorized_keys$/,
    ],
    ['nobody’s', ['AuthorizedKeysFile none'], 'line 1', /^sudo sshd -T /],
  ])('%s', async (_what, config, place, remedy) => {
    await world.begin(line)
    const report = await under(config, explain)
    expect(report).toMatchObject({ cause: 'authorized-keys-path', remedy: expect.stringMatching(remedy) })
    expect(report.evidence[0]).toMatch(
      new RegExp(`not ~/\\.ssh/authorized_keys: .*sshd_config ${place}: AuthorizedKeysFile$`),
    )
  })

  test('… and one that takes no keys', async () => {
    const report = await under(['PubkeyAuthentication no'], explain)
    expect(report).toMatchObject({
      cause: 'publickey-off',
      evidence: [expect.stringContaining('PubkeyAuthentication no')],
    })
  })

  test('… or minds no modes: those are not blamed, nor is the file that it reads', async () => {
    await world.begin(line)
    await chmod(file(), 0o666)
    expect(await under(['StrictModes no'], explain)).toMatchObject({ cause: 'rules' })
  })

  test('… or takes no keys of this type: that is said before the file is looked into', async () => {
    await world.begin('')
    const report = await under(['PubkeyAcceptedAlgorithms rsa-sha2-*'], explain)
    expect(report).toMatchObject({ cause: 'key-type', remedy: expect.stringContaining('pubkeyaccepted') })
    expect(report.evidence[0]).toMatch(
      /takes no ED25519 keys: .*sshd_config line 1: PubkeyAcceptedAlgorithms rsa-sha2-\*$/,
    )
  })
})

test('SELinux’s own programs are asked where they are', async () => {
  await world.begin(line)
  const bin = join(home(), 'bin')
  await runOrThrow('/bin/mkdir', [bin])
  await writeFile(
    join(bin, 'matchpathcon'),
    '#!/bin/sh\necho "$2 verified."\necho "$3 has context unconfined_u:object_r:user_home_t:s0, should be system_u:object_r:ssh_home_t:s0"\n',
    { mode: 0o755 },
  )
  const sshd = await startSshd({
    users: [world.user],
    config: [`SetEnv PATH=${bin}:/usr/bin:/bin`],
    hostKeyFiles: world.sshd.hostKeyFiles,
  })
  await writeFile(join(world.home.ssh, 'known_hosts'), world.sshd.knownHosts + sshd.knownHosts)
  const connection = await connect(
    world.login({ port: sshd.port, signers: [], askPassword: async () => world.user.password }),
  )
  try {
    expect(await explain(connection)).toEqual({
      cause: 'selinux',
      evidence: [
        "~/.ssh/authorized_keys has SELinux's label unconfined_u:object_r:user_home_t:s0 instead of system_u:object_r:ssh_home_t:s0",
      ],
      remedy: 'restorecon -RF ~/.ssh',
    })
  } finally {
    await connection.close()
    await sshd.stop()
  }
})
