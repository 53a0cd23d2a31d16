/** In a folder where everybody puts things, closing it would shut out everybody: what lies behind a link comes home. */
const BRING_HOME = 'cp -RL ~/.ssh ~/.ssh.new && mv ~/.ssh ~/.ssh.old && mv ~/.ssh.new ~/.ssh'

/**
 * The command that keeps others from writing to what sshd looks at.
 * @param word the path, as a shell takes it
 */
export function closingCommand(word: string, about: { readonly isOwn: boolean; readonly isSticky: boolean }): string {
  if (about.isSticky && !about.isOwn) return BRING_HOME
  return `${about.isOwn ? '' : 'sudo '}chmod go-w ${word}`
}
