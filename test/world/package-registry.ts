import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const installed = fileURLToPath(new URL('../../node_modules', import.meta.url))

export interface Registry {
  /** For npm's `--registry`. */
  readonly url: string
  stop(): Promise<void>
}

/**
 * An npm registry on loopback that has what is installed in this repository, each in its one version. With it
 * `npm install` resolves, fetches and unpacks a package's declared dependencies as it does everywhere, and neither the
 * network nor what is in npm's cache decides about a test. What is not installed here (the binaries of other systems,
 * which are optional) it does not know.
 */
export async function startRegistry(): Promise<Registry> {
  const server = createServer((request, response) => {
    const [, name = '', file] = /^\/((?:@[^/]+\/)?[^/]+?)(\.tgz)?$/.exec(decodeURIComponent(request.url ?? '')) ?? []
    const folder = join(installed, name)
    const answer = file ? sendTarball(folder, response) : sendPackument(folder, name, `${url}/${name}.tgz`, response)
    answer.catch(() => response.writeHead(404).end('{}'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const stop = async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  return { url, stop }
}

/** What a registry says of a package: its versions, and where each is fetched. Rejects when it is not installed here. */
async function sendPackument(folder: string, name: string, tarball: string, response: ServerResponse): Promise<void> {
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string }
  const { version } = manifest
  const versions = { [version]: { ...manifest, dist: { tarball } } }
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ name, 'dist-tags': { latest: version }, versions }))
}

/** Npm drops the first folder of every name in a tarball, whatever it is called. Rejects when it is not installed here. */
async function sendTarball(folder: string, response: ServerResponse): Promise<void> {
  await readFile(join(folder, 'package.json'))
  const args = ['-czf', '-', '-C', dirname(folder), '--exclude=node_modules', basename(folder)]
  const tar = spawn('tar', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  tar.stdout.pipe(response)
}
