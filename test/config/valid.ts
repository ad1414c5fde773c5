import { randomBytes } from 'node:crypto'
import { loadConfig, type Loaded } from '../../gateway/config/load.ts'

/** A config with every key of the schema in it, and the files it names, as tap's testdir wants them. */
export const FULL = `version: 1
server:
  host: 127.0.0.1
  port: 8080
  trust_proxy:
    - 10.0.0.0/8
  overload:
    requests: 512
    body_mib: 16
    loop_delay: 200ms
    memory_mib: 1024
  public_url: https://sms.acme.example/in/
log:
  level: info
store:
  driver: sqlite
  path: data/gateway.db
  synchronous: full
  allow_data_loss: false
  intake_free_mib: 64
  send_free_mib: 32
sandbox:
  enabled: true
  port: 8081
  url: http://127.0.0.1:8090
security:
  encryption_keys:
    - id: k1
      env: KEY_ONE
      file: keys/absent.key
      generate: true
  person_key:
    env: PERSON
    file: keys/absent-person.key
    generate: true
  api_keys:
    - id: storefront
      env: CALLER
      file: keys/absent.api-key
      generate: true
      prefix: gw_
      scopes:
        - events:write
      shops:
        - acme.example
plans:
  pro:
    - external_sms
shop_id_pattern: "^[a-z0-9.-]{1,100}$"
channels:
  mail:
    default_provider: letters
    choices:
      letters: Letters
  sms:
    default_provider: alpha
event_types:
  thing.happened:
    schema: thing.schema.json
    channel: sms
    setup_group: things
    kind: marketing
    expires_after: 24h
    person: /customer/phone
  thing.noted:
    schema: thing.schema.json
    person: /customer/phone
providers:
  alpha:
    path: alpha
    coming_soon: false
    base_url: https://api.alpha.example
    concurrency: 8
    limits:
      events:
        - max: 350
          per: 1s
    options:
      sender: Acme
    secrets:
      signing:
        - file: keys/absent-signing.key
          env: SIGNING
          generate: true
          prefix: sg_
        - file: keys/absent-signing-before.key
          env: SIGNING_BEFORE
          generate: true
    connection:
      sandbox: true
      auth: api_key
      secrets:
        api_key:
          env: OUR_KEY
          file: keys/absent-ours.key
          generate: true
          prefix: ok_
      account_id: OURS
sources:
  omega:
    path: omega
    sandbox: true
    secrets:
      client:
        env: CLIENT
        file: keys/absent-client.key
        generate: true
        prefix: cl_
    options:
      tag: preorder
delivery:
  request_deadline: 15s
  retry_schedule:
    - 5s
retention:
  identity: 30d
  payload: 30d
shops:
  - id: acme.example
    sandbox: true
    name: Acme
    domain: acme.example
    plan: pro
    channels:
      sms: alpha
    connections:
      - provider: alpha
        auth: api_key
        secrets:
          api_key:
            env: ACME_KEY
            file: keys/absent-acme.key
            generate: true
            prefix: ak_
        account_id: A1
        settings:
          sender: Acme
        ready:
          - things
`

/** The same with the other store: what only one driver knows stands in one of the two. */
export const FULL_POSTGRES = FULL.replace(/^store:\n(?: .*\n)+/m, `store:
  driver: postgres
  url:
    env: DATABASE
    file: keys/absent.url
  pool: 4
  lease: 30s
  allow_data_loss: false
`)

/** The least that is a config. */
export const SMALL = `version: 1
store: { path: data/gateway.db }
security:
  encryption_keys: [{ id: k1, env: KEY_ONE }]
  person_key: { env: PERSON }
  api_keys: [{ id: storefront, env: CALLER, scopes: [events:write], shops: "*" }]
event_types:
  thing.happened: { schema: thing.schema.json, channel: sms, setup_group: things, kind: marketing, expires_after: 24h }
providers:
  alpha: { path: alpha }
`

export const FILES = { 'thing.schema.json': '{}', alpha: { 'provider.yaml': 'id: alpha\n' }, omega: { 'index.ts': '' } }

/** Values for every variable the two configs name; each call makes new ones. */
export function environment (): Record<string, string> {
  const names = ['KEY_ONE', 'PERSON', 'CALLER', 'ACME_KEY', 'SIGNING', 'SIGNING_BEFORE', 'OUR_KEY', 'CLIENT']
  return { ...Object.fromEntries(names.map(name => [name, secret()])), DATABASE: `postgres://gateway:${secret()}@db.example.com/gateway` }
}

/** Loads `gateway.config.yaml` of a folder, without making files. */
export function load (cwd: string, env: Record<string, string> = environment(), createSecrets = false): Promise<Loaded> {
  return loadConfig({ file: 'gateway.config.yaml', cwd, env, createSecrets })
}

function secret (): string {
  return randomBytes(32).toString('base64url')
}
