// From words to a command, or to what was most likely meant.

import { nearest } from '../errors.ts'
import type { Command } from './command.ts'
import { COMMANDS } from './table.ts'

/** `words`: how many words the command's name took. */
export type Found = { command: Command, words: number } | NotFound

/** `group`: the commands that begin with the first word; none where there are no such commands. */
export interface NotFound { fault: string, fix: string, group: Command[] }

/** The command that the first words name. */
export function find (words: readonly string[]): Found {
  const [first = '', second] = words
  for (const count of [2, 1]) {
    const command = words.length < count ? undefined : COMMANDS.find(({ name }) => name === words.slice(0, count).join(' '))
    if (command !== undefined) return { command, words: count }
  }
  const group = COMMANDS.filter(({ name }) => name.startsWith(`${first} `))
  if (group.length > 0) return { ...within(first, second, group), group }
  return { fault: `There is no command "${first}".`, fix: meant(first, second), group: [] }
}

function within (first: string, second: string | undefined, group: Command[]): Omit<NotFound, 'group'> {
  const choices = group.map(({ name }) => name.slice(first.length + 1))
  const one = `There is: ${group.map(({ name }) => `gateway ${name}`).join(', ')}.`
  if (second === undefined) return { fault: `"${first}" needs to know what to do.`, fix: one }
  const near = nearest(second, choices)
  return { fault: `There is no command "${first} ${second}".`, fix: near === null ? one : `Did you mean "gateway ${first} ${near}"?` }
}

// With two words, both may be misspelt a little; what one word meant may be a group.
function meant (first: string, second: string | undefined): string {
  const both = second === undefined ? null : nearest(`${first} ${second}`, COMMANDS.map(({ name }) => name).filter(name => name.includes(' ')))
  const near = both ?? nearest(first, new Set(COMMANDS.map(({ name }) => name.split(' ')[0] as string)))
  return near === null ? 'See: gateway help.' : `Did you mean "gateway ${near}"?`
}
