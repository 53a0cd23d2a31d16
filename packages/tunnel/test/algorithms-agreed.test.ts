import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AlgorithmLists } from '../src/connection/algorithm-lists.js'
import { connect } from '../src/connection/connect.js'
import { Servers } from './servers.js'

// The engine stands for what only we have with names of its own: it must not agree on these where they were left out.

let home: string
let servers: Servers

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kt-'))
  servers = new Servers(home)
})

afterAll(async () => {
  servers.close()
  await rm(home, { recursive: true })
})

test.each<[AlgorithmLists, boolean]>([
  [{}, true],
  [{ kexAlgorithms: 'curve25519-sha256' }, true],
  [{ kexAlgorithms: 'mlkem768x25519-sha256' }, false],
  [{ kexAlgorithms: 'mlkem768x25519-sha256,ecdh-sha2-nistp256' }, false],
  [{ hostKeyAlgorithms: 'ssh-ed25519' }, true],
  [{ hostKeyAlgorithms: 'ssh-ed25519-cert-v01@openssh.com' }, false],
  [{ hostKeyAlgorithms: 'ssh-ed25519-cert-v01@openssh.com,rsa-sha2-512' }, false],
])('%j at a server with X25519 and a plain Ed25519 key: %s', async (algorithms, isIn) => {
  const port = await servers.ssh(login => login.accept(), undefined, {
    algorithms: { kex: ['curve25519-sha256'], serverHostKey: ['ssh-ed25519'] },
  })
  const found = connect(servers.to(port, { algorithms }))
  if (isIn) await (await found).close()
  else {
    await expect(found).rejects.toMatchObject({
      code: 'unsupported',
      hint: expect.stringMatching(/^lists in ssh_config leave out what it has: add -o (Kex|HostKey)Algorithms=\+/),
    })
  }
})
