import type { FleetOptions } from '../../fleet/choose.js'

export interface RotateOptions extends FleetOptions {
  readonly all?: boolean
  readonly resume?: boolean
  readonly rollback?: boolean
  readonly dryRun?: boolean
  readonly identity?: string
  readonly passwordFile?: string
  readonly passphraseFile?: string
  readonly oldPassphraseFile?: string
  readonly hostKey?: string
}
