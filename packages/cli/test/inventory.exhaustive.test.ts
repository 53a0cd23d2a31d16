import { isKeytoolError } from '@keytool/keygen'
import { checkHost, checkUser } from '@keytool/tunnel'
import fc from 'fast-check'
import { readInventory } from '../src/fleet/inventory/read.js'

// Files that nobody meant to be read: they are refused or read, and nothing that comes of them could be taken for an option
// or a command.

const RUNS = 3000

const piece = fc.constantFrom(
  '[web]', '[web:vars]', '[a:children]', 'web[1:3]', '[a:f]', 'ansible_host=', 'ansible_user=', 'ansible_port=', ':22', '"', "'",
  '\\', '#', ';', '{{ x }}', '-oProxyCommand=x', '$(x)', '\n', '\n', '\r\n', ' ', '  ', '\t', 'all:', 'hosts:', 'children:', 'vars:', '&a ', '*a',
  '<<: ', '!vault ', '!!binary ', '? ', '- ', '|\n', '>-\n', '{', '}', '[', ']', ',', 'a: ', 'hana@web', '::1', '\u2028', '\u202e', '\u001b[0m', '0x16',
  'True', 'null', '~', '---\n', '...\n', '%YAML 1.2\n', 'ansible_ssh_common_args=', '-J ', 'ProxyCommand=', '"_meta":', '"hostvars":',
) // biome-ignore format: a list of pieces
const text = fc.oneof(
  fc.array(piece, { maxLength: 40 }).map(parts => parts.join('')),
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.json().map(json => `{"all":${json}}`),
)
const name = fc.constantFrom('hosts', 'hosts.yml', 'hosts.json', 'hosts.ini', 'standard input')

test('whatever stands in a file, what comes of it is a place to go to or an error', async () => {
  await fc.assert(
    fc.asyncProperty(text, name, async (content, file) => {
      const hosts = await readInventory(Buffer.from(content), file).catch((error: unknown) => {
        if (isKeytoolError(error) && ['damaged', 'unsupported'].includes(error.code)) return []
        throw error
      })
      for (const host of hosts) {
        if ('refused' in host) expect(isKeytoolError(host.refused)).toBe(true)
        if ('refused' in host || 'passedOver' in host) continue
        checkHost(host.host ?? host.word)
        if (host.user !== undefined) checkUser(host.user)
        for (const part of [host.identity, host.jump]) expect(part ?? '').not.toMatch(/\p{Cc}/u)
      }
    }),
    { numRuns: RUNS },
  )
})

test('bytes that are no text are refused', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 100 }), async bytes => {
      await readInventory(Buffer.from(bytes), 'hosts').catch((error: unknown) => {
        if (!isKeytoolError(error)) throw error
      })
    }),
    { numRuns: RUNS },
  )
})
