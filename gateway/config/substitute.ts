/** Names to texts; an unset variable is absent or undefined. */
export type Environment = Readonly<Record<string, string | undefined>>

/** What is wrong with one reference. `offset` counts into the text as written. */
export interface BadReference {
  code: 'GW_CONFIG_ENV_UNSET' | 'GW_CONFIG_ENV_SYNTAX'
  offset: number
  message: string
  fix: string
}

const REFERENCE = /\$\$|\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?:(:-|-|:\?|\?)([^{}]*))?\}|\$\{/g

/**
 * Replaces `${X}`, `${env:X}`, `${X:-d}`, `${X-d}`, `${X:?m}`, `${X?m}` and `$$`, in one pass: what comes
 * out of the environment is text and is not looked at again. Every bad reference is returned.
 */
export function substitute (text: string, env: Environment): { text: string, bad: BadReference[], used: boolean } {
  const bad: BadReference[] = []
  let used = false
  const out = text.replaceAll(REFERENCE, (whole: string, name: string | undefined, operator: string | undefined, rest: string | undefined, offset: number) => {
    if (whole === '$$') return '$'
    if (name === undefined) {
      bad.push(unreadable(offset))
      return whole
    }
    used = true
    const value = valueOf(env, name, operator, rest ?? '')
    if (value !== null) return value
    bad.push(unset(offset, name, operator, rest ?? ''))
    return whole
  })
  return { text: out, bad, used }
}

// A colon in the operator lets an empty variable count as unset.
function valueOf (env: Environment, name: string, operator: string | undefined, rest: string): string | null {
  const value = Object.hasOwn(env, name) ? env[name] : undefined
  if (value !== undefined && !(value === '' && operator?.startsWith(':'))) return value
  return operator?.endsWith('-') ? rest : null
}

function unset (offset: number, name: string, operator: string | undefined, rest: string): BadReference {
  const asked = operator?.endsWith('?') && rest.trim() !== ''
  return {
    code: 'GW_CONFIG_ENV_UNSET',
    offset,
    message: asked ? rest.trim() : `the environment variable ${name} is not set`,
    fix: asked ? `Set the environment variable ${name}.` : `Set it, or give a default: \${${name}:-default}.`
  }
}

function unreadable (offset: number): BadReference {
  return {
    code: 'GW_CONFIG_ENV_SYNTAX',
    offset,
    message: 'this reference to the environment cannot be read',
    fix: 'Write ${NAME}, ${NAME:-default} or ${NAME:?message}, with no braces within; a plain dollar is $$.'
  }
}
