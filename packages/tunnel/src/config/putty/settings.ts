/**
 * What PuTTY keeps of one session: the values of its settings by name, numbers in decimal. A setting that is not there has
 * PuTTY's default.
 */
export interface SavedSettings {
  /** As PuTTY shows it. Foreign text. */
  readonly name: string
  readonly values: ReadonlyMap<string, string>
}

/** A host's key as PuTTY keeps it. Foreign text, both. */
export interface SavedHostKey {
  /** `ssh-ed25519@22:host` */
  readonly name: string
  /** `0x…,0x…` */
  readonly value: string
}

/** All that one file or folder of PuTTY's, KiTTY's or WinSCP's holds for us. */
export interface Saved {
  readonly sessions: readonly SavedSettings[]
  readonly hostKeys: readonly SavedHostKey[]
  /** Authorities for hosts' certificates: how many. */
  readonly authorities: number
}

/** More than anybody has; a file with more of either is no export of somebody's sessions. */
export const MAX_SAVED = 10_000

/** Text of a setting; empty where there is none. */
export function textOf({ values }: SavedSettings, name: string): string {
  return values.get(name) ?? ''
}

/** Number of a setting: `fallback` where there is none or no number. */
export function numberOf({ values }: SavedSettings, name: string, fallback: number): number {
  const text = values.get(name)?.trim() ?? ''
  return /^-?\d{1,10}$/.test(text) ? Number(text) : fallback
}
