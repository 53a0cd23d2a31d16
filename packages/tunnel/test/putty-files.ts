import type { SavedSettings } from '../src/config/putty/settings.js'

// What the tests of PuTTY's settings share: files as regedit and PuTTY write them.

export const ROOT = 'HKEY_CURRENT_USER\\Software\\SimonTatham\\PuTTY'

/** A registry export as regedit 5 writes it: UTF-16LE with its mark, CRLF. */
export function exported(...lines: string[]): Buffer {
  const text = ['Windows Registry Editor Version 5.00', '', ...lines, ''].join('\r\n')
  return Buffer.from(`\ufeff${text}`, 'utf16le')
}

/** A session in an export: strings, and numbers as dwords, escaped as regedit does. */
export function sessionLines(name: string, values: Readonly<Record<string, string | number>>, root = ROOT): string[] {
  return [
    `[${root}\\Sessions\\${name}]`,
    ...Object.entries(values).map(([key, value]) =>
      typeof value === 'number'
        ? `"${key}"=dword:${value.toString(16).padStart(8, '0')}`
        : `"${key}"="${value.replace(/[\\"]/g, '\\$&')}"`,
    ),
    '',
  ]
}

export function settings(values: Readonly<Record<string, string | number>>, name = 'a session'): SavedSettings {
  const entries = Object.entries({ HostName: 'mail.example', Protocol: 'ssh', ...values })
  return { name, values: new Map(entries.map(([key, value]) => [key, String(value)])) }
}
