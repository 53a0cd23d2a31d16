import type { PasswordPrompt } from '@keytool/tunnel'
import { passwordSource } from '../src/password.js'
import { makeStage } from './fleet-fixture.js'

const prompt = (more: Partial<PasswordPrompt> = {}): PasswordPrompt => ({
  kind: 'keyboard-interactive',
  user: 'hana',
  host: 'web1',
  text: 'Code:',
  echo: false,
  attempt: 1,
  left: 3,
  ...more,
})

test('why it comes to questions, and that answers were refused, is said once for all that is asked together', async () => {
  const stage = makeStage({
    secret: async text => {
      stage.context.say.prompt(`? ${text}`)
      return Buffer.from('x')
    },
    text: async () => '',
  })
  const ask = passwordSource(undefined, stage.context, () => 'no key')
  for (const text of ['Code:', 'PIN:']) await ask(prompt({ text }))
  for (const text of ['Code:', 'PIN:']) await ask(prompt({ text, attempt: 2, left: 2 }))
  const questions = ['? hana@web1 asks "Code:"', '? hana@web1 asks "PIN:"']
  expect(stage.err().trimEnd().split('\n')).toEqual([
    'no key',
    ...questions,
    'that was refused; 2 tries left',
    ...questions,
  ])
})
