/** Opcodes of RFC 4254 section 8, and of RFC 8160, which ssh2 does not have. */
const opcodes: Readonly<Record<string, number>> = {
  ...numbered(1, 'VINTR VQUIT VERASE VKILL VEOF VEOL VEOL2 VSTART VSTOP VSUSP VDSUSP VREPRINT VWERASE VLNEXT VFLUSH'),
  ...numbered(16, 'VSWTCH VSTATUS VDISCARD'),
  ...numbered(30, 'IGNPAR PARMRK INPCK ISTRIP INLCR IGNCR ICRNL IUCLC IXON IXANY IXOFF IMAXBEL IUTF8'),
  ...numbered(50, 'ISIG ICANON XCASE ECHO ECHOE ECHOK ECHONL NOFLSH TOSTOP IEXTEN ECHOCTL ECHOKE PENDIN'),
  ...numbered(70, 'OPOST OLCUC ONLCR OCRNL ONOCR ONLRET'),
  ...numbered(90, 'CS7 CS8 PARENB PARODD'),
  ...numbered(128, 'TTY_OP_ISPEED TTY_OP_OSPEED'),
}

const END = 0

/** The modes as a terminal is asked for with them: one byte and one uint32 each, then the end. Names that are none are left out. */
export function encodeTerminalModes(modes: Readonly<Record<string, number>>): Buffer {
  const known = Object.entries(modes).flatMap(([name, value]) => {
    const opcode = Object.hasOwn(opcodes, name) ? opcodes[name] : undefined
    return opcode === undefined ? [] : [{ opcode, value }]
  })
  const bytes = Buffer.alloc(known.length * 5 + 1, END)
  for (const [index, { opcode, value }] of known.entries()) {
    bytes.writeUInt8(opcode, index * 5)
    bytes.writeUInt32BE(value >>> 0, index * 5 + 1)
  }
  return bytes
}

function numbered(first: number, names: string): Record<string, number> {
  return Object.fromEntries(names.split(' ').map((name, index) => [name, first + index]))
}
