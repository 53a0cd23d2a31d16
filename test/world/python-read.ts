import { run } from './run.js'

/** What a script of Python's makes of bytes on its standard input, as the JSON it prints. Throws when it complains. */
export async function readWithPython(script: string, bytes: Uint8Array | string): Promise<unknown> {
  const { status, stdout, stderr } = await run('/usr/bin/python3', ['-c', script], { input: bytes })
  if (status !== 0 || stderr !== '') throw new Error(`python3 ended with ${status}\n${stderr}`)
  return JSON.parse(stdout)
}

/** A property list as plistlib reads it. */
export function readPlist(bytes: Uint8Array | string): Promise<unknown> {
  return readWithPython('import json, plistlib, sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))', bytes)
}

/** The elements of a Windows task that hold text, by name. */
export function readTask(bytes: Uint8Array): Promise<unknown> {
  return readWithPython(
    `
import json, sys, xml.etree.ElementTree as xml
root = xml.fromstring(sys.stdin.buffer.read())
space = '{http://schemas.microsoft.com/windows/2004/02/mit/task}'
assert root.tag == space + 'Task'
print(json.dumps({each.tag.removeprefix(space): each.text for each in root.iter() if each.text and each.text.strip()}))`,
    bytes,
  )
}
