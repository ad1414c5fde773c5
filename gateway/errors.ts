// Every error code, with its HTTP status and what the reader can do. A released code is never renamed or reused.
// The README's table is held to this one by a test.

export const CODES = {
  // files the platform team writes; all are reported together at start, by `validate` and at a reload
  GW_FILE_MISSING: { status: 500, fix: 'Create the file, or correct the path that names it.' },
  GW_FILE_UNREADABLE: { status: 500, fix: 'Let the gateway\'s user read the file; keep it below 1 MiB, UTF-8.' },
  GW_YAML_SYNTAX: { status: 500, fix: 'Correct the YAML at the place shown; put values holding "{{" or "${" in quotes.' },
  GW_YAML_FORBIDDEN: { status: 500, fix: 'Write plain YAML 1.2: no aliases, tags, directives or second documents.' },
  GW_CONFIG_UNKNOWN_KEY: { status: 500, fix: 'Remove the key, or spell it as the schema does.' },
  GW_CONFIG_MISSING_KEY: { status: 500, fix: 'Add the key.' },
  GW_CONFIG_TYPE: { status: 500, fix: 'Give a value of the type named.' },
  GW_CONFIG_VALUE: { status: 500, fix: 'Give a value within what the message allows.' },
  GW_CONFIG_ENV_UNSET: { status: 500, fix: 'Set the environment variable, or give a default: ${NAME:-default}.' },
  GW_CONFIG_ENV_SYNTAX: { status: 500, fix: 'Write ${NAME}, ${NAME:-default} or ${NAME:?message}; a plain dollar is $$.' },
  GW_CONFIG_DUPLICATE: { status: 500, fix: 'Keep one of the two.' },
  GW_CONFIG_REFERENCE: { status: 500, fix: 'Name something that is declared, or declare it.' },
  GW_CONFIG_SECRET: { status: 500, fix: 'Give the secret as { env: NAME } or { file: path }, long enough and not a sample.' },
  GW_SCHEMA_INVALID: { status: 500, fix: 'Correct the JSON Schema (draft 2020-12) of the event type.' },
  GW_MAPPING_SYNTAX: { status: 500, fix: 'Correct the Liquid template at the place shown.' },
  GW_MAPPING_FIELD: { status: 500, fix: 'Read a field that the event\'s schema has.' },
  GW_MAPPING_OPTIONAL: { status: 500, fix: 'Say what an absent value sends: {{ field | default: "" }}.' },
  GW_PROVIDER_ID: { status: 500, fix: 'Let the id in provider.yaml, in its code and in the config agree.' },
  GW_PROVIDER_CODE: { status: 500, fix: 'Let index.ts export defineProvider({ … }) as its default, and load without error.' },
  GW_SOURCE_CODE: { status: 500, fix: 'Let index.ts export defineSource({ … }) as its default, with the id of the config, and load without error.' },
  GW_CASE_FAILED: { status: 500, fix: 'Correct the mapping, or the case.' },

  // the store
  GW_STORE_LOCKED: { status: 500, fix: 'Stop the other gateway that uses this file, or give this one a store.path of its own.' },
  GW_STORE_UNUSABLE: { status: 500, fix: 'Check the file, its folder and the free space; restore a backup if it is damaged.' },
  GW_STORE_FAILED: { status: 503, fix: 'Send it again in a moment; nothing of it was kept.' },
  GW_BUSY: { status: 503, fix: 'Send it again in a moment; nothing of it was kept.' },
  GW_DISK_FULL: { status: 503, fix: 'Make room on the disk of the store; the gateway goes on by itself. Send it again then; nothing of it was kept.' },
  GW_OVERLOADED: { status: 503, fix: 'Send it again after Retry-After; nothing of it was kept. The marks are under server.overload.' },
  GW_KEY_OVERLOADED: { status: 429, fix: 'Keep fewer requests of this API key open at once; send it again after Retry-After, nothing of it was kept.' },
  GW_STORE_UNSURE: { status: 503, fix: 'Send it again under the same id: what was kept is told to be a duplicate.' },
  GW_STORE_UNSAFE: { status: 500, fix: 'Switch the setting on; or allow the loss of accepted messages with store.allow_data_loss: true.' },
  GW_STORE_NEWER: { status: 500, fix: 'Start the newer version of the gateway, which made these tables.' },
  GW_DATABASE_UNREACHABLE: { status: 500, fix: 'Start the database, or correct host and port in store.url; see that this machine may reach it.' },
  GW_DATABASE_REFUSED: { status: 500, fix: 'Correct what the database names: user, password or database in store.url, pg_hba.conf, or the number of connections.' },
  GW_DATABASE_RIGHTS: { status: 500, fix: 'Make the user of store.url the owner of its database, or grant it usage and create on the schema.' },
  GW_DATABASE_UNUSABLE: { status: 500, fix: 'Let store.url lead to PostgreSQL 15 or later that takes writes: directly, or through a pooler in session mode.' },
  GW_RUNTIME: { status: 500, fix: 'Use Node 24.15 or later (npm start and npm test bring their own).' },
  GW_LISTEN: { status: 500, fix: 'Free the port, or set another one: PORT=8090 npm start; the sandbox has its own, SANDBOX_PORT.' },

  // what callers send
  GW_UNAUTHENTICATED: { status: 401, fix: 'Send "Authorization: Bearer <API key>"; keys are declared under security.api_keys.' },
  GW_FORBIDDEN: { status: 403, fix: 'Use an API key that has this scope and this shop.' },
  GW_NOT_FOUND: { status: 404, fix: 'Check the address and the id.' },
  GW_METHOD: { status: 405, fix: 'Use one of the methods named in the Allow header.' },
  GW_MEDIA_TYPE: { status: 415, fix: 'Send application/json, application/cloudevents+json or application/cloudevents-batch+json, uncompressed.' },
  GW_TOO_LARGE: { status: 413, fix: 'Send less at once: an event up to 64 KiB, a batch up to 4 MiB and 1,000 events.' },
  GW_JSON: { status: 400, fix: 'Send well-formed JSON in UTF-8.' },
  GW_REQUEST_INVALID: { status: 422, fix: 'Correct the fields named in details.' },
  GW_EVENT_INVALID: { status: 422, fix: 'Send data that fits the schema of the event type: gateway events schema <type>.' },
  GW_EVENT_TYPE_UNKNOWN: { status: 422, fix: 'Use a type declared under event_types.' },
  GW_SHOP_UNKNOWN: { status: 422, fix: 'Create the shop first: PUT /v1/shops/{shop}, or declare it under shops.' },
  GW_EVENT_CONFLICT: { status: 409, fix: 'Use a new id for a new event; this id was used for another one.' },
  GW_CONFLICT: { status: 409, fix: 'Read it again; its state does not allow this.' },
  GW_TOO_OFTEN: { status: 429, fix: 'Wait a minute; a shop may give credentials, check customers and send test events five times a minute each.' },
  GW_RATE_LIMITED: { status: 429, fix: 'Send it again after Retry-After; from pages so much is taken of one address, phone and shop.' },
  GW_STOREFRONT_TOKEN: { status: 401, fix: 'Send the shop\'s storefront token as X-Storefront-Token; it is made by POST /v1/shops/{shop}/waitlist/storefront-token.' },
  GW_PLAN_TOO_LOW: { status: 403, fix: 'Choose a provider that the shop\'s plan includes, or raise the plan.' },
  GW_COMING_SOON: { status: 403, fix: 'Choose another provider; this one is announced only.' },
  GW_INTERNAL: { status: 500, fix: 'Look the request id up in the log; it is a fault of the gateway.' },

  // the command line
  GW_USAGE: { status: 400, fix: 'See: gateway help <command>.' },
  GW_UNREACHABLE: { status: 502, fix: 'Start the gateway, or point --url (or GATEWAY_URL) at it.' }
} as const satisfies Record<string, { status: number, fix: string }>

export type Code = keyof typeof CODES

/** The only error type the gateway throws on purpose; anything else is a bug. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError'
  readonly code: Code
  /** Fastify's error handler reads this name. */
  readonly statusCode: number
  /** Faults of a request, field by field; shown to the caller. */
  readonly details: readonly unknown[]
  /** Seconds until it may be done again, where that is known. */
  readonly retryAfterS: number | null

  constructor (code: Code, message: string, options: { cause?: unknown, details?: readonly unknown[], retryAfterS?: number } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.code = code
    this.statusCode = CODES[code].status
    this.details = options.details ?? []
    this.retryAfterS = options.retryAfterS ?? null
  }
}

/** A template could not be rendered from this event's data. Caught where a request is prepared, and made a value there. */
export class MappingError extends Error {
  override readonly name = 'MappingError'
}

/** The candidate a mistyped word most likely meant, or null where none is near enough to be worth saying. */
export function nearest (word: string, candidates: Iterable<string>): string | null {
  const allowed = Math.max(1, Math.floor(word.length / 3))
  let best: string | null = null
  let bestDistance = allowed + 1
  for (const candidate of candidates) {
    if (candidate === word || Math.abs(candidate.length - word.length) > allowed) continue
    const distance = edits(word.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
  }
  return best
}

// Insertions, deletions, replacements and swapped neighbours (optimal string alignment).
function edits (a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row.push(Math.min(row[j - 1]! + 1, rows[i - 1]![j]! + 1, replaced, swapped ? rows[i - 2]![j - 2]! + 1 : Infinity))
    }
    rows.push(row)
  }
  return rows[a.length]![b.length]!
}
