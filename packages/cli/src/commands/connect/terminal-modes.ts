/** Special characters as `stty -a` names them, and RFC 4254 section 8's names for them. */
const characters: Readonly<Record<string, string>> = {
  intr: 'VINTR',
  quit: 'VQUIT',
  erase: 'VERASE',
  kill: 'VKILL',
  eof: 'VEOF',
  eol: 'VEOL',
  eol2: 'VEOL2',
  start: 'VSTART',
  stop: 'VSTOP',
  susp: 'VSUSP',
  dsusp: 'VDSUSP',
  rprnt: 'VREPRINT',
  reprint: 'VREPRINT',
  werase: 'VWERASE',
  lnext: 'VLNEXT',
  swtch: 'VSWTCH',
  status: 'VSTATUS',
  discard: 'VDISCARD',
}

/** Switches, which have the same names but for capitals. IUTF8 is RFC 8160's. */
const switches = new Set(
  (
    'ignpar parmrk inpck istrip inlcr igncr icrnl iuclc ixon ixany ixoff imaxbel iutf8 isig icanon xcase echo echoe echok ' +
    'echonl noflsh tostop iexten echoctl echoke pendin opost olcuc onlcr ocrnl onocr onlret cs7 cs8 parenb parodd'
  ).split(' '),
)

/** No character is set. */
const NONE = 255
const MAX_SPEED = 4_000_000

/**
 * A terminal's modes as a server is told them (RFC 4254 section 8), from what `stty -a` says: coreutils' form and BSD's.
 * What is not understood is left out.
 */
export function readModes(text: string): Record<string, number> {
  const modes: Record<string, number> = {}
  for (const [, name = '', value = ''] of text.matchAll(/([a-z]\w*) = (\S+?);/g)) {
    const mode = characters[name]
    const code = readCharacter(value)
    if (mode && code !== undefined) modes[mode] = code
  }
  const speed = Number(/\bspeed (\d{1,8}) baud/.exec(text)?.[1] ?? 0)
  if (speed > 0 && speed <= MAX_SPEED) modes['TTY_OP_ISPEED'] = modes['TTY_OP_OSPEED'] = speed
  // What stands between the characters' semicolons is no switch.
  for (const [, off, name = ''] of text.replace(/\w+ = \S+?;/g, '').matchAll(/(?:^|\s)(-?)([a-z]\w*)(?=\s|;|$)/g)) {
    if (switches.has(name)) modes[name.toUpperCase()] = off ? 0 : 1
  }
  return modes
}

/** `^C`, `^?`, `M-a`, a character, `<undef>`. */
function readCharacter(text: string): number | undefined {
  if (/^(<undef>|undef|\^-)$/.test(text)) return NONE
  const [, meta, control, character = ''] = /^(M-)?(\^)?([!-~])$/.exec(text) ?? []
  if (character === '') return undefined
  const code = character.charCodeAt(0)
  const plain = control ? (character === '?' ? 0x7f : code & 0x1f) : code
  return meta ? plain | 0x80 : plain
}
