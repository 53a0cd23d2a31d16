import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { isKeytoolError } from '@keytool/keygen'
import fc from 'fast-check'
import { readInventory } from '../packages/cli/src/fleet/inventory/read.js'
import { type Answer, ansibleIn, type Inventory, type Reached, readWithAnsible } from './inventory/ansible.js'
import { randomRow } from './inventory/random.js'
import { type Row, rows } from './inventory/rows.js'
import { type Home, temporaryHome } from './world/home.js'
import { runOrThrow } from './world/run.js'

// Our reading of inventories beside Ansible's own, host by host.

jest.setTimeout(120_000)

const RUNS = 60

let home: Home
beforeAll(async () => {
  home = await temporaryHome()
})
afterAll(() => home.dispose())

type Ours = Omit<Reached, 'connection'> | { name: string; passedOver: true } | { name: string; refused: true }

async function readOurs({ name, text, isProgram }: Inventory): Promise<readonly Ours[] | 'unreadable'> {
  try {
    const hosts = await readInventory(Buffer.from(text), isProgram ? 'standard input' : name)
    return hosts.map(host => {
      if ('refused' in host) return { name: host.word, refused: true }
      if ('passedOver' in host) return { name: host.word, passedOver: true }
      const { word, port = null, user = null, identity = null } = host
      return { name: word, host: host.host ?? word, port, user, identity }
    })
  } catch (error) {
    if (isKeytoolError(error) && ['damaged', 'unsupported'].includes(error.code)) return 'unreadable'
    throw error
  }
}

const bySsh = [null, 'ssh', 'paramiko', 'smart']

/** The same from Ansible, in our words. */
function readTheirs(answer: Answer, { refused = [] }: Row): readonly Ours[] | 'unreadable' {
  if ('error' in answer) return 'unreadable'
  return answer.hosts.map(host => {
    const { name } = host
    if (refused.includes(name) || 'error' in host) return { name, refused: true }
    const { connection, ...reached } = host
    return bySsh.includes(connection)
      ? { ...reached, port: reached.port && Number(reached.port) }
      : { name, passedOver: true }
  })
}

describe('written by hand', () => {
  let answers: readonly Answer[]
  beforeAll(async () => {
    answers = await readWithAnsible(Object.values(rows), home)
  })

  test.each(Object.entries(rows).map(([what, row], i) => [what, row, i] as const))('%s', async (_what, row, i) => {
    const ours = await readOurs(row)
    const answer = answers[i]
    if (!answer) throw new Error('Ansible gave no answer')
    const theirs = readTheirs(answer, row)
    if (row.reads === 'ours') {
      expect(theirs).toBe('unreadable')
      expect(ours).not.toBe('unreadable')
    } else {
      expect(ours).toEqual(theirs)
      expect(ours === 'unreadable').toBe(row.reads === 'never')
    }
  })
})

test('put together at random', async () => {
  const trials = fc.sample(randomRow, RUNS)
  const answers = await readWithAnsible(trials, home)
  let readable = 0
  for (const [i, row] of trials.entries()) {
    const answer = answers[i]
    if (!answer) throw new Error('Ansible gave no answer')
    const theirs = readTheirs(answer, row)
    if (theirs !== 'unreadable') readable += 1
    expect({ text: row.text, hosts: await readOurs(row) }).toEqual({ text: row.text, hosts: theirs })
  }
  // Two in three are: so few by chance once in a billion runs.
  expect(readable).toBeGreaterThan(RUNS / 4)
})

test('what ansible-inventory --list prints leads to the same hosts as the inventory', async () => {
  const row = rows['children and their variables']
  const path = join(home.path, 'hosts')
  await writeFile(path, row?.text ?? '')
  const env = await ansibleIn(home)
  const { stdout } = await runOrThrow('/usr/bin/ansible-inventory', ['-i', path, '--list'], { env, timeoutMs: 90_000 })
  const printed = await readOurs({ name: '-', text: stdout })
  const own = await readOurs({ name: 'hosts', text: row?.text ?? '' })
  // It sorts groups by name.
  const byName = (hosts: readonly Ours[] | string) => new Set<Ours | string>(hosts)
  expect(byName(printed)).toEqual(byName(own))
  expect(printed).toHaveLength(2)
  expect(own).toHaveLength(2)
})

test('the ssh that Ansible runs is told what we read', async () => {
  const text =
    'a ansible_host=192.0.2.1 ansible_ssh_host=192.0.2.2 ansible_ssh_port=2201 ansible_ssh_user=old ansible_user=new ansible_ssh_private_key_file=~/k\n'
  const [path, log, fake] = ['inventory', 'log', 'ssh'].map(each => join(home.path, each)) as [string, string, string]
  await writeFile(path, text)
  await writeFile(fake, `#!/bin/sh\nprintf '%s\\n' "$@" >'${log}'\nexit 255\n`)
  await chmod(fake, 0o700)
  const env = { ...(await ansibleIn(home)), ANSIBLE_SSH_EXECUTABLE: fake, ANSIBLE_SSH_RETRIES: '0' }
  // It fails: nobody answers there.
  const script = '! ansible -i "$1" all -m raw -a true >/dev/null 2>&1'
  await runOrThrow('/bin/sh', ['-c', script, 'sh', path], { env, timeoutMs: 90_000 })
  const told = (await readFile(log, 'utf8')).split('\n')
  const [host] = await readInventory(Buffer.from(text), 'inventory')
  expect(host).toEqual({ word: 'a', host: '192.0.2.2', port: 2201, user: 'old', identity: '~/k', line: 1 })
  expect(told).toEqual(
    expect.arrayContaining(['Port=2201', 'User="old"', `IdentityFile="${home.path}/k"`, '192.0.2.2']),
  )
})
