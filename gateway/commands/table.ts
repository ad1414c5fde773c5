// Every command there is. Help and parsing are made from this table; the code of a command is loaded when it is called.

import type { Command, Option } from './command.ts'

/** Taken by every command. */
export const GLOBAL_OPTIONS: Readonly<Record<string, Option>> = {
  config: { value: 'file', short: 'c', summary: 'the configuration (or GATEWAY_CONFIG; default ./gateway.config.yaml)' },
  url: { value: 'url', summary: 'address of the running gateway (or GATEWAY_URL; default: as the config says)' },
  key: { value: 'key', summary: 'API key (or GATEWAY_API_KEY; default: the first one of a local config)' },
  json: { summary: 'print the result as JSON' },
  help: { short: 'h', summary: 'what the command does, its options, an example' }
}

const SANDBOX = {
  sandbox: { summary: 'the sandbox stands in for the providers, whatever the config says' },
  'no-sandbox': { summary: 'the real providers, whatever the config says' }
}
const EXAMPLE = { value: 'n', summary: 'the n-th example of the type\'s schema, counted from 0', integer: { min: 0, max: 999 } }
const DATA = { value: 'file', summary: 'JSON of the event\'s data, or of a whole event; - reads standard input' }
const PORT = { value: 'n', integer: { min: 0, max: 65_535 } }

export const COMMANDS: readonly Command[] = [
  {
    name: 'start',
    summary: 'Run the gateway until SIGTERM or SIGINT; SIGHUP loads the files again.',
    positionals: [],
    options: { ...SANDBOX, port: { ...PORT, summary: 'port to listen on instead of the config\'s; 0 takes any that is free' } },
    example: 'gateway start --sandbox',
    load: async () => (await import('./start.ts')).start
  },
  {
    name: 'validate',
    summary: 'Check the config, schemas, mappings and providers; show every fault with its place.',
    positionals: [],
    options: {},
    example: 'gateway validate --config gateway.config.yaml',
    load: async () => (await import('./validate.ts')).validate
  },
  {
    name: 'providers list',
    summary: 'List the providers of the config.',
    positionals: [],
    options: {},
    example: 'gateway providers list',
    load: async () => (await import('./providers.ts')).list
  },
  {
    name: 'providers show',
    summary: 'Show a provider: channels, needs, limits, events, requests, settings, set-up steps.',
    positionals: [{ name: 'id' }],
    options: {},
    example: 'gateway providers show acme',
    load: async () => (await import('./providers.ts')).show
  },
  {
    name: 'map',
    summary: 'Show the request an event would become at a provider; nothing is sent.',
    positionals: [{ name: 'type' }],
    options: {
      provider: { value: 'id', summary: 'whose mapping', required: true },
      data: DATA,
      example: { ...EXAMPLE, summary: `${EXAMPLE.summary}; the first one where nothing is given` },
      shop: { value: 'id', summary: 'a shop of the config, for its name, domain and settings; default: a sample shop' },
      ...SANDBOX
    },
    example: 'gateway map back_in_stock.alert --provider acme --example 0',
    load: async () => (await import('./map.ts')).map
  },
  {
    name: 'test',
    summary: 'Run the mapping cases (cases.yaml) of providers; show what differs.',
    positionals: [{ name: 'provider', many: true, optional: true }],
    options: {},
    example: 'gateway test acme',
    load: async () => (await import('./test.ts')).test
  },
  {
    name: 'events send',
    summary: 'Send an event to the running gateway.',
    positionals: [{ name: 'type' }],
    options: {
      shop: { value: 'id', summary: 'the shop it is for; a whole event in --data names it itself' },
      data: DATA,
      example: EXAMPLE,
      id: { value: 'id', summary: 'identity of the event, by which a repeat is told; default: a new one' },
      source: { value: 'uri', summary: 'where the event comes from; default: /cli' },
      wait: { summary: 'follow its deliveries to their end, 60 seconds at most' }
    },
    example: 'gateway events send back_in_stock.alert --shop acme.example --example 0 --wait',
    load: async () => (await import('./events-send.ts')).send
  },
  {
    name: 'events schema',
    summary: 'Print the JSON Schema of an event type\'s data, or an event ready to send.',
    positionals: [{ name: 'type' }],
    options: { example: { ...EXAMPLE, summary: `an event made of ${EXAMPLE.summary}` }, shop: { value: 'id', summary: 'the shop the event names; default: the first of the config' } },
    example: 'gateway events schema preorder.confirmed --example 0',
    load: async () => (await import('./events-schema.ts')).schema
  },
  {
    name: 'deliveries list',
    summary: 'List deliveries, the newest first.',
    positionals: [],
    options: {
      shop: { value: 'id', summary: 'of this shop' },
      state: { value: 'state', summary: 'waiting, sending, held, unknown, delivered, rejected or expired' },
      type: { value: 'type', summary: 'of events of this type' },
      provider: { value: 'id', summary: 'at this provider' },
      'event-id': { value: 'id', summary: 'of the event with this id of the gateway\'s (evt_…)' },
      'source-id': { value: 'id', summary: 'of the event with this id of its source\'s' },
      phone: { value: 'phone', summary: 'to this person, E.164' },
      limit: { value: 'n', summary: 'this many at most', integer: { min: 1, max: 200 } },
      cursor: { value: 'cursor', summary: 'the next ones after a list that was cut' }
    },
    example: 'gateway deliveries list --shop acme.example --state rejected',
    load: async () => (await import('./deliveries.ts')).list
  },
  {
    name: 'deliveries show',
    summary: 'Show a delivery: state, reason, event, every call with request and answer.',
    positionals: [{ name: 'id' }],
    options: {},
    example: 'gateway deliveries show dlv_0199f3a1-7c00-7000-8000-000000000001',
    load: async () => (await import('./deliveries.ts')).show
  },
  {
    name: 'deliveries retry',
    summary: 'Send deliveries again that ended without being delivered.',
    positionals: [{ name: 'id', many: true }],
    options: {
      'may-have-been-sent': { summary: 'also one that is unknown, though the customer may then be texted twice' },
      expired: { summary: 'also one whose event is older than messages of its kind may get' }
    },
    example: 'gateway deliveries retry dlv_0199f3a1-7c00-7000-8000-000000000001',
    load: async () => (await import('./deliveries.ts')).retry
  },
  {
    name: 'deliveries send-again',
    summary: 'Make another delivery of the same event, which the provider takes for a new message.',
    positionals: [{ name: 'id' }],
    options: {
      reason: { value: 'text', summary: 'why, for the record', required: true },
      'record-only': { summary: 'the provider is to record it, and nobody is texted; only where it can' },
      'may-have-been-sent': { summary: 'also where the customer has the message, or may have' },
      expired: { summary: 'also where the event is older than messages of its kind may get' }
    },
    example: 'gateway deliveries send-again dlv_0199f3a1-7c00-7000-8000-000000000001 --reason asked-by-the-customer',
    load: async () => (await import('./deliveries.ts')).sendAgain
  },
  {
    name: 'inbox list',
    summary: 'List what came in from outside (webhooks, call-backs), the newest first.',
    positionals: [],
    options: {
      source: { value: 'id', summary: 'of this source or provider' },
      shop: { value: 'id', summary: 'of this shop' },
      topic: { value: 'topic', summary: 'of this topic, as the source calls it' },
      subject: { value: 'id', summary: 'about this, such as an order or a delivery' },
      state: { value: 'state', summary: 'received, done, recorded or parked' },
      limit: { value: 'n', summary: 'this many at most', integer: { min: 1, max: 200 } },
      cursor: { value: 'cursor', summary: 'the next ones after a list that was cut' }
    },
    example: 'gateway inbox list --state parked',
    load: async () => (await import('./inbox.ts')).list
  },
  {
    name: 'inbox show',
    summary: 'Show what came in: state, reason, the events made of it, headers and body.',
    positionals: [{ name: 'id' }],
    options: {},
    example: 'gateway inbox show inb_0199f3a1-7c00-7000-8000-000000000001',
    load: async () => (await import('./inbox.ts')).show
  },
  {
    name: 'inbox retry',
    summary: 'Work again on what came in; events that were made of it before are not made twice.',
    positionals: [{ name: 'id', many: true }],
    options: {},
    example: 'gateway inbox retry inb_0199f3a1-7c00-7000-8000-000000000001',
    load: async () => (await import('./inbox.ts')).retry
  },
  {
    name: 'shops list',
    summary: 'List the shops the gateway knows.',
    positionals: [],
    options: { limit: { value: 'n', summary: 'this many at most', integer: { min: 1, max: 200 } }, cursor: { value: 'cursor', summary: 'the next ones after a list that was cut' } },
    example: 'gateway shops list',
    load: async () => (await import('./shops.ts')).list
  },
  {
    name: 'shops show',
    summary: 'Show a shop: plan, the provider of each channel, connections, what is held and why.',
    positionals: [{ name: 'id' }],
    options: {},
    example: 'gateway shops show acme.example',
    load: async () => (await import('./shops.ts')).show
  },
  {
    name: 'forecast',
    summary: 'Tell how long what waits of a shop takes, by channel and set-up group.',
    positionals: [{ name: 'shop' }, { name: 'channel', optional: true }],
    options: {},
    example: 'gateway forecast acme.example sms',
    load: async () => (await import('./forecast.ts')).forecast
  },
  {
    name: 'doctor',
    summary: 'Tell what is wrong with a shop\'s messages, how certain that is, and what to do.',
    positionals: [{ name: 'shop' }, { name: 'channel', optional: true }],
    options: { person: { value: 'phone', summary: 'look at the messages of this customer, E.164' } },
    example: 'gateway doctor acme.example --person +12015550123',
    load: async () => (await import('./doctor.ts')).doctor
  },
  {
    name: 'sandbox',
    summary: 'Run the sandbox of the providers\' APIs alone.',
    positionals: [],
    options: {
      port: { ...PORT, summary: 'port to listen on instead of the config\'s; 0 takes any that is free' },
      record: { value: 'file', summary: 'append a JSON line per request received' }
    },
    example: 'gateway sandbox --port 8081 --record requests.jsonl',
    load: async () => (await import('./sandbox.ts')).sandbox
  },
  {
    name: 'help',
    summary: 'Tell what a command does, its options, an example.',
    positionals: [{ name: 'command', many: true, optional: true }],
    options: {},
    example: 'gateway help events send',
    load: async () => (await import('./help.ts')).help
  }
]
