import { checkComment } from '../comment.js'

/** Text of another world as a comment of a key: what no comment may have becomes a space. It is a label; nothing is refused for it. */
export function plainComment(text: string): string {
  return Array.from(text, plainCharacter).join('')
}

function plainCharacter(character: string): string {
  if (/^\p{Cs}$/u.test(character)) return ' '
  try {
    return checkComment(character)
  } catch {
    return ' '
  }
}
