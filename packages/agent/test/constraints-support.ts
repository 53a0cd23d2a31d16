import { PublicKey, Reader, Writer } from '@keytool/keygen'
import { decodeMessage, requests } from '../src/index.js'
import { constraints } from '../src/protocol/constraints.js'
import type { Terms } from '../src/terms.js'

/**
 * `ssh-add -H known -t 600 -c -h one.example -h 'one.example>hana@two.example' key`: byte for byte the same from OpenSSH 9.2,
 * 10.0p2 and 10.6p1. Each host has a key of its own in `known`, and the authority of `*.example`.
 */
const RESTRICTED =
  'GQAAAAtzc2gtZWQyNTUxOQAAACCdt2sQe+DlUdp+YudezsuyXnUa2hktrcgeKRbeF9bxzAAAAECalVfwMfAQ/dj836jXHqcWKEDdyN1Y8icKIZwnS7ZBOp23axB74OVR2n5i517Oy7JedRraGS2tyB4pFt4X1vHMAAAAAmVkAQAAAlgC/wAAACRyZXN0cmljdC1kZXN0aW5hdGlvbi12MDBAb3BlbnNzaC5jb20AAAH6AAAAnwAAAAwAAAAAAAAAAAAAAAAAAACHAAAAAAAAAAtvbmUuZXhhbXBsZQAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAICnip+NfM/dsOPsExVhlfW2/Qp0TN+balqCYMZQQYmR6AAAAADMAAAALc3NoLWVkMjU1MTkAAAAgEJm+yW6dTvhFT5NrP9QW0H+hIKys42hWtSsT8VpzzjMBAAAAAAAAAVMAAACHAAAAAAAAAAtvbmUuZXhhbXBsZQAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAICnip+NfM/dsOPsExVhlfW2/Qp0TN+balqCYMZQQYmR6AAAAADMAAAALc3NoLWVkMjU1MTkAAAAgEJm+yW6dTvhFT5NrP9QW0H+hIKys42hWtSsT8VpzzjMBAAAAwAAAAARoYW5hAAAAC3R3by5leGFtcGxlAAAAAAAAAGgAAAATZWNkc2Etc2hhMi1uaXN0cDI1NgAAAAhuaXN0cDI1NgAAAEEE1moLGNNCev3R58yVF3i6J7UoWZRNAe9TpBUJ/wd3M70N2OqExehc9GEBoYv9gjHc9t/qVBzbWWSyL7X3hmTxIwAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIBCZvslunU74RU+Taz/UFtB/oSCsrONoVrUrE/Fac84zAQAAAAA='

export function read(bytes: Uint8Array): Terms {
  const reader = new Reader(bytes)
  const terms = constraints.read(reader)
  reader.end()
  return terms
}

export function write(terms: Terms): Buffer {
  const writer = new Writer()
  constraints.write(writer, terms)
  return writer.done()
}

/** The message, without its length. */
export const body = Buffer.from(RESTRICTED, 'base64')
export const recorded = decodeMessage(requests.addConstrained, body)
/** A key that is a host's in it. */
export const own = recorded.constraints.destinations?.[0]?.to.keys[0]?.key ?? PublicKey.fromBlob(Buffer.alloc(0))
