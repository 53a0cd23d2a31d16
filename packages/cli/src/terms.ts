import { showDestination, type Terms } from '@keytool/agent'
import { showDuration } from './duration.js'

/** Under what conditions a key is held, for people: `for 8 h`, `asks at every use`. Empty where there are none. */
export function describeTerms({ lifetime, idle, confirm, destinations = [] }: Terms): string[] {
  return [
    ...(lifetime === undefined ? [] : [`for ${showDuration(lifetime)}`]),
    ...(idle === undefined ? [] : [`sealed after ${showDuration(idle)} without use`]),
    ...(confirm ? ['asks at every use'] : []),
    ...describeDestinations(destinations.map(showDestination)),
  ]
}

/** `only for git@github.com or from a.example on to b.example`. @param words as `ssh-add -h` takes them */
export function describeDestinations(words: readonly string[]): string[] {
  if (words.length === 0) return []
  const ways = words.map(word => {
    const [from, to] = word.split('>')
    return to === undefined ? `for ${from}` : `from ${from} on to ${to}`
  })
  return [`only ${ways.join(' or ')}`]
}
