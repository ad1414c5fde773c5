// Help, made from the table.

import type { Command, Option, Positional, Run } from './command.ts'
import { find } from './find.ts'
import { Problem } from './problem.ts'
import { COMMANDS, GLOBAL_OPTIONS } from './table.ts'

export const help: Run = async ({ positionals }) => {
  if (positionals.length === 0) return { exit: 0, value: COMMANDS.map(described), text: overview(COMMANDS) }
  const found = find(positionals)
  if ('fault' in found && found.group.length === 0) throw new Problem({ code: 'GW_USAGE', message: found.fault, fix: found.fix })
  if ('fault' in found) return { exit: 0, value: found.group.map(described), text: overview(found.group) }
  return { exit: 0, value: described(found.command), text: page(found.command) }
}

/** All commands, or those of a group, with an example each. */
export function overview (commands: readonly Command[]): string {
  const listed = commands.map(({ name, summary, example }) => `  ${name.padEnd(23)}${summary}\n${' '.repeat(25)}${example}`)
  return [
    'Usage: gateway <command> [options]', '', ...listed, '', 'Options of every command:', optionLines(GLOBAL_OPTIONS), '',
    'Results go to standard output, remarks and errors to standard error.',
    'Exit codes: 0 fine, 1 a problem was found or the action failed, 2 wrong usage.',
    'More about one: gateway help <command>'
  ].join('\n')
}

/** One command. */
export function page (command: Command): string {
  const own = Object.keys(command.options).length === 0 ? [] : ['', 'Options:', optionLines(command.options)]
  return [command.summary, '', usageLine(command), ...own, '', 'Options of every command:', optionLines(GLOBAL_OPTIONS), '', 'Example:', `  ${command.example}`].join('\n')
}

export function usageLine ({ name, positionals, options }: Command): string {
  const required = Object.entries(options).filter(([, option]) => option.required).map(([option, { value }]) => `--${option} <${value}>`)
  return ['Usage: gateway', name, ...positionals.map(positional), ...required, '[options]'].join(' ')
}

function positional ({ name, many, optional }: Positional): string {
  const text = many ? `${name}…` : name
  return optional ? `[${text}]` : `<${text}>`
}

function optionLines (options: Readonly<Record<string, Option>>): string {
  return Object.entries(options).map(([name, option]) => {
    const left = `${option.short === undefined ? '' : `-${option.short}, `}--${name}${option.value === undefined ? '' : ` <${option.value}>`}`
    return `  ${left.padEnd(24)}${option.summary}`
  }).join('\n')
}

function described ({ name, summary, positionals, options, example }: Command): object {
  return { name, summary, positionals, options: { ...options, ...GLOBAL_OPTIONS }, example }
}
