import type { ErrorCode } from '../src/error.js'
import { sshcom } from '../src/formats/sshcom/sshcom.js'
import type { PrivateKey } from '../src/key.js'

/** `puttygen -t rsa -b 1024 -C COMMENT -o v.ppk; puttygen v.ppk -O private-sshcom`, PuTTY 0.78. */
export const PLAIN = String.raw`---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----
Comment: "häna "at" läptop\, with a comment so long that it takes tw\
o lines"
P2/56wAAAi4AAAA3aWYtbW9kbntzaWdue3JzYS1wa2NzMS1zaGExfSxlbmNyeXB0e3JzYS
1wa2NzMXYyLW9hZXB9fQAAAARub25lAAAB3wAAAdsAAAARAQABAAAD/1Xxr1cPTyoKMexu
t4rJ2PUlC3FsGLbe8mujeT6Mo4PgU9aj5w23XG5gH+0hg3e29pCziDZLUgzYtrWKNqcWJW
nZfEXfjDOMmJI7uo79WMQwiE9FHjXPzt/h4JTEoRvoMbZdjpO2bpRI+kimX/QlKi89RzX5
cv679g4DpO1e6IkJAAAEAKpzLVFrGqr8sRYHm3yHSrZNfXtiEgrjwbP8ScxXjqZTvjRSQW
G/TFBTSF/jXyaLcsjtYCGeUBcDuQ4Jd+UjubHJloEeSdExdebCD9Ma0dGCW4mOLlLfjjp8
0pf8IXalGlz1FFpJC35YrgtPrsH/cNDbBy8vnD23DCZHpdzFo6+rAAACAJUxaHdIUeDqWt
j2Y8O9klFBmBtV45B9cCuHyP/0Xvw76Qy4lQuFRDgOaGq+z2j9HlXHCbUxXciVmvXApBAk
qqEAAAIAwZTezyLgz4Ku+UcICo9jQfhZDHbzI8UUEVhRee+8h4shvmlawwrI3ouKnHCodA
8dcQNss7Zmdo20tZbnbrZY/QAAAgDhaOoWLhS7sMXqmgbVGu6n6ibVyniMDRQJwNSIbH3f
Uq0jlmeM3Ua4s/aop83BKKoJYfoWP+ALjW8t1fama3/H
---- END SSH2 ENCRYPTED PRIVATE KEY ----
`
/** The same with `--new-passphrase`, a file that holds PASSPHRASE. */
export const SEALED = String.raw`---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----
Comment: "häna "at" läptop\, with a comment so long that it takes tw\
o lines"
P2/56wAAAjMAAAA3aWYtbW9kbntzaWdue3JzYS1wa2NzMS1zaGExfSxlbmNyeXB0e3JzYS
1wa2NzMXYyLW9hZXB9fQAAAAgzZGVzLWNiYwAAAeBwNX6hTFnYVuEb8/+AmUHJjOWdBPwp
5ndvTX0OdCyXlrwldxGX00JluU8lc8WxnmGSjC30RpJDv4SYTMu2PPfkux8gtMxzgoY5kr
h41gdw7LInWb4IGhNwduyn9fac9QRewVb+uJ/4ZJipckOWN87mQ+g3chsm/Y0rflMui5fi
bX0SnKNv6p1t3PFW9rkZwz8FnoSSK/NjC+u/Zoeokwk8aVYTrHVjRToKdXEtujxgrcWMZt
7VSba2zguuFl030Od/2KlnEdcslRRjpUkKQkKvvaagGhhbgJ3sV9mWvKu7V09FLjhxcuVE
/ZJ+nSra112YexGCHP6uaECHHzqEhB1qU+eWg3dUDDq2+x1Qd5dc4RJvrNlysa9ZGe0gME
at1Zmb2Nyt+8b6hZViN47GV2kb6FWn6icajZl35EVoZ3D8i2atrugAyeVh9zK6ph9CEJKn
PAhlbgKxUX8RVaXnRb09sdzf6pdOgBJGtqEbhn+hyGKivlMNsZoqCVzek8ZSIJipvN5p/h
WDjM/lJg4lyuctiNhN+CdfYSaDshV2K6dosZQpZbqJPLnKK93v60eMPykrlcK/cVDAPAm5
yrD4Z5mOhtchGEzQP0wwBvd3d4pLUFDjBXDlqM0SHvyUeSl3t8Q=
---- END SSH2 ENCRYPTED PRIVATE KEY ----
`
/** `puttygen v.ppk -L`. */
export const LINE =
  'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCqcy1Raxqq/LEWB5t8h0q2TX17YhIK48Gz/EnMV46mU740UkFhv0xQU0hf418mi3LI7WAhnlAXA7kOCXflI7mxyZaBHknRMXXmwg/TGtHRgluJji5S3446fNKX/CF2pRpc9RRaSQt+WK4LT67B/3DQ2wcvL5w9twwmR6XcxaOvqw=='

export const passphrase = Buffer.from('pässwörd')

export function lineOf({ publicKey: { algorithm, blob } }: PrivateKey): string {
  return `${algorithm.name} ${blob.toString('base64')}`
}

/** The code it is refused with, or the key. */
export async function outcome(bytes: Buffer, secret?: Buffer): Promise<ErrorCode | PrivateKey> {
  return sshcom.read(bytes, secret ? { passphrase: secret } : {}).catch(error => {
    expect(error).toMatchObject({ name: 'KeytoolError' })
    return error.code
  })
}
