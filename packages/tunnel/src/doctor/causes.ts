import type { CauseRow } from './cause.js'
import { type HereCause, hereCauses } from './causes-here.js'
import { type KeysCause, keysCauses } from './causes-keys.js'
import { type ServerCause, serverCauses } from './causes-server.js'
import { type WayCause, wayCauses } from './causes-way.js'

export type Cause = WayCause | KeysCause | ServerCause | HereCause

/** Every cause, in the order in which things can fail. One row a cause, and one remedy. */
export const causes: Readonly<Record<Cause, CauseRow>> = {
  ...wayCauses,
  ...keysCauses,
  ...serverCauses,
  ...hereCauses,
}
