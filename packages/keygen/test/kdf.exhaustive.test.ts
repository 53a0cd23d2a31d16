import { createHash } from 'node:crypto'
import { bcryptPbkdf } from '../src/protect/bcrypt.js'

describe('the KDFs', () => {
  // The digests are of what Python's `bcrypt.kdf` gives.
  test('bcrypt_pbkdf in one round, of every length to 100', async () => {
    const all = createHash('sha256')
    for (let length = 1; length <= 100; length++) {
      all.update(await bcryptPbkdf(Buffer.from('password'), Buffer.from('salt'), 1, length))
    }
    expect(all.digest('hex')).toBe('065523d8efb7f8083c0a0c6c3e5795ab8953ffe316d065bbcd87675f43dde8ee')
  })
})
