import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { generate, PublicKey, writePublicLine } from '@keytool/keygen'
import { createHosts } from '../packages/agent/src/hosts/hosts.js'
import { defaultPolicy, ruleOf } from '../packages/agent/src/policy/policy.js'
import { resolvePolicy } from '../packages/agent/src/policy/resolve.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { runOrThrow } from './world/run.js'

// Files that ssh-keygen has made, as the agent reads them: by which it names hosts, and by which a policy names keys.

jest.setTimeout(90_000)

let home: Home

beforeEach(async () => {
  home = await temporaryHome()
})

afterEach(() => home.dispose())

async function sshKeygen(...words: string[]): Promise<void> {
  await runOrThrow(peerPath('ssh-keygen'), ['-q', ...words])
}

/** What stands in the line of a public key, certificates included. */
async function readBlob(file: string): Promise<Buffer> {
  return Buffer.from((await readFile(file, 'utf8')).split(' ')[1] ?? '', 'base64')
}

describe('the names of a host', () => {
  const namesOf = (key: PublicKey, ...hints: string[]) =>
    createHosts({ home: home.path, systemFiles: [] }).namesOf(key, hints)

  test('hidden by ssh-keygen -H: found by the command line', async () => {
    const [web, db] = (await Promise.all([generate('ed25519'), generate('ed25519')])).map(key => key.publicKey)
    const known = join(home.ssh, 'known_hosts')
    if (!web || !db) throw new Error('there are no keys')
    const line = (names: string, key: PublicKey) => `${names} ${writePublicLine(key)}`
    await writeFile(known, line('web.example', web) + line('[web.example]:2222', web) + line('db', db))
    await sshKeygen('-H', '-f', known)
    expect(await readFile(known, 'utf8')).not.toContain('web')
    await rm(`${known}.old`)

    expect(namesOf(web)).toEqual([])
    expect(namesOf(web, 'ssh', 'git@web.example', 'git-upload-pack')).toEqual(['web.example'])
    expect(namesOf(web, 'ssh', '-p', '2222', 'git@WEB.example')).toEqual(['web.example', '[web.example]:2222'])
    expect(namesOf(db, 'ssh', '-p', '2222', 'git@web.example')).toEqual([])
  })

  test('with a certificate that ssh-keygen has signed', async () => {
    const [ca, host] = [join(home.path, 'ca'), join(home.path, 'host')]
    for (const file of [ca, host]) await sshKeygen('-t', 'ed25519', '-N', '', '-f', file)
    await sshKeygen('-s', ca, '-I', 'x', '-h', '-n', 'web.example', `${host}.pub`)
    const authority = `ssh-ed25519 ${(await readBlob(`${ca}.pub`)).toString('base64')}`
    await writeFile(join(home.ssh, 'known_hosts'), `@cert-authority *.example ${authority}\n`)
    expect(namesOf(PublicKey.fromBlob(await readBlob(`${host}-cert.pub`)))).toEqual(['web.example'])
  })
})

describe('the rule about a key, by its file', () => {
  test.each([
    ['an encrypted one, its .pub gone', ['-t', 'ed25519', '-N', 'secret'], true],
    ['an encrypted PEM file, which shows nothing, with its .pub', ['-m', 'PEM', '-t', 'rsa', '-N', 'secret'], false],
  ])('%s', async (_, options, isAlone) => {
    const file = join(home.ssh, 'id')
    await sshKeygen(...options, '-f', file)
    const blob = await readBlob(`${file}.pub`)
    if (isAlone) await rm(`${file}.pub`)
    const { policy, troubles } = await resolvePolicy(
      { ...defaultPolicy, keys: [{ file, confirm: true }] },
      'agent.json',
    )
    expect(troubles).toEqual([])
    expect(ruleOf(policy, { blob })).toMatchObject({ file, confirm: true })
  })
})
