import { generate, keyFormats } from '@keytool/keygen'
import { createRing } from '../src/index.js'
import { revive, toSurvivor } from '../src/ring/revive.js'

test.each([1e300, Number.MAX_SAFE_INTEGER])(
  'a key that would be held until %d is held for as long as can be said',
  async expires => {
    const key = await generate('ed25519')
    const format = keyFormats.find(({ name }) => name === 'openssh')
    const file = await format?.write?.(key, { passphrase: Buffer.from('sesame'), rounds: 1 })
    const survivor = {
      fingerprint: 'SHA256:',
      comment: 'id_work',
      file: file ?? Buffer.alloc(0),
      terms: Buffer.alloc(0),
      expires,
    }
    const { keys } = await revive({ sealed: [survivor], lost: [] }, 0)
    expect(keys.map(({ terms }) => terms)).toEqual([{ lifetime: 0xffff_ffff }])
    const saved: unknown[] = []
    const ring = createRing({ onChange: all => saved.push(...all.map(held => toSurvivor(held, undefined, 0))) })
    for (const each of keys) ring.put(each)
    expect(saved).toHaveLength(1)
    ring.wipe()
  },
)
