import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { callOf, commandOf } from '../../gateway/commands/args.ts'
import type { Io } from '../../gateway/commands/command.ts'
import { run } from '../../gateway/commands/run.ts'
import { stopSignal } from '../../gateway/commands/stop.ts'
import { COMMANDS, GLOBAL_OPTIONS } from '../../gateway/commands/table.ts'
import { cell, duration, printable, table } from '../../gateway/commands/text.ts'
import { CODES } from '../../gateway/errors.ts'
import { cli, fakeIo, nothingTold, project, ROOT, within, type Told } from './cli.ts'

/** A terminal instead of a pipe. */
function terminal (told: Told): Io['stderr'] {
  return { write: text => { told.err += text }, isTTY: true }
}

async function isColoured (env: Record<string, string>, isTTY: boolean): Promise<boolean> {
  const told = nothingTold()
  await run(fakeIo(['nonsense'], told, { env, ...(isTTY && { stderr: terminal(told) }) }), () => '')
  return told.err.includes('\u001b[')
}

t.test('help lists every command with its example', async t => {
  for (const argv of [['--help'], ['-h'], ['help']]) {
    const { code, out, err } = await cli(argv)
    t.equal(code, 0, argv.join(' '))
    t.equal(err, '')
    for (const { name, example } of COMMANDS) t.ok(out.includes(`  ${name}`) && out.includes(example), name)
  }
})

t.test('every command has a summary, an example that parses as it stands, and code to run', async t => {
  for (const command of COMMANDS) {
    const words = command.example.split(' ')
    t.equal(words.shift(), 'gateway', command.example)
    const asked = commandOf(words)
    t.equal(asked.command, command, `"${command.example}" is an example of ${command.name}`)
    t.doesNotThrow(() => callOf(command, asked.rest, fakeIo(words, nothingTold())), command.example)
    t.match(command.summary, /^[A-Z].*\.$/)
    t.type(await command.load(), 'function', command.name)
  }
})

t.test('an option of one name means the same kind of thing everywhere, so that it may stand before the command', async t => {
  const kinds = new Map<string, boolean>()
  for (const [name, { value }] of [...Object.entries(GLOBAL_OPTIONS), ...COMMANDS.flatMap(({ options }) => Object.entries(options))]) {
    t.equal(kinds.get(name) ?? (value !== undefined), value !== undefined, `--${name}`)
    kinds.set(name, value !== undefined)
  }
  for (const { name, options } of COMMANDS) for (const option of Object.keys(options)) t.notOk(Object.hasOwn(GLOBAL_OPTIONS, option), `${name} --${option} hides no global option`)
})

t.test('help of a command, a group and an unknown word', async t => {
  for (const argv of [['help', 'events', 'send'], ['events', 'send', '--help'], ['events', 'send', 'x', '--shop', 'y', '-h'], ['--help', 'events', 'send']]) {
    const { code, out } = await within(argv)
    t.equal(code, 0, argv.join(' '))
    t.match(out, /Usage: gateway events send <type> \[options\][^]*--wait[^]*--config <file>[^]*Example:/)
  }
  const group = await within(['deliveries', '--help'])
  t.equal(group.code, 0)
  t.match(group.out, /deliveries list[^]*deliveries show[^]*deliveries retry/)
  t.notMatch(group.out, 'shops list')
  t.equal((await within(['help', 'nonsense'])).code, 2)
  const described = JSON.parse((await within(['help', 'map', '--json'])).out) as { name: string, options: object }
  t.equal(described.name, 'map')
  t.ok('provider' in described.options && 'json' in described.options)
})

t.test('no command at all is wrong usage, and shows help on standard error', async t => {
  const { code, out, err } = await cli([])
  t.equal(code, 2)
  t.equal(out, '')
  t.match(err, 'gateway start')
})

t.test('what is misspelt is refused with what was most likely meant', async t => {
  const cases: Array<[string[], RegExp]> = [
    [['strat'], /Did you mean "gateway start"\?/],
    [['provders', 'list'], /Did you mean "gateway providers list"\?/],
    [['providers', 'lst'], /Did you mean "gateway providers list"\?/],
    [['deliveries'], /gateway deliveries list, gateway deliveries show, gateway deliveries retry/],
    [['start', '--prot', '1'], /Did you mean "--port"\?[^]*Usage: gateway start/],
    [['events', 'send', 'x', '--shpo', 'y'], /Did you mean "--shop"\?[^]*Usage: gateway events send <type>/]
  ]
  for (const [argv, expected] of cases) {
    const { code, out, err } = await within(argv)
    t.equal(code, 2, argv.join(' '))
    t.equal(out, '')
    t.match(err, expected)
    t.match(err, 'GW_USAGE')
  }
  const real = await cli(['validate', '--jsn'])
  t.equal(real.code, 2)
  t.match(real.err, /--json[^]*Usage: gateway validate/)
})

t.test('arguments that do not fit the table are refused with the usage line', async t => {
  const wrong = [
    ['map'], ['map', 'a.b'], ['map', 'a.b', 'c.d', '--provider', 'x'], ['map', 'a.b', '--provider'], ['map', 'a.b', '--provider', 'x', '--example', '-1'],
    ['start', '--port', 'x'], ['start', '--port', '65536'], ['start', 'now'], ['start', '--sandbox=yes'], ['start', '--sandbox', '--no-sandbox'],
    ['deliveries', 'retry'], ['deliveries', 'list', '--limit', '0'], ['events', 'send', 'a.b'], ['events', 'send', 'a.b', '--example', '0', '--data', '-']
  ]
  for (const argv of wrong) {
    const { code, out, err } = await within(argv)
    t.equal(code, 2, argv.join(' '))
    t.equal(out, '')
    t.match(err, /\[GW_USAGE\]\nUsage: gateway /, argv.join(' '))
  }
})

t.test('options may stand before the command and between its words', async t => {
  const cwd = project(t)
  for (const argv of [['--json', 'providers', 'list'], ['providers', '--json', 'list'], ['providers', 'list', '--json'], ['-c', 'gateway.config.yaml', '--json', 'providers', 'list']]) {
    const { code, out } = await within(argv, { cwd })
    t.equal(code, 0, argv.join(' '))
    t.ok((JSON.parse(out) as { items: unknown[] }).items.length > 0)
  }
})

t.test('with --json an error is JSON on standard output, and for people on standard error', async t => {
  const { code, out, err } = await within(['map', '--json'])
  t.equal(code, 2)
  t.match(JSON.parse(out), { error: { code: 'GW_USAGE', details: [] } })
  t.match(err, 'GW_USAGE')
})

t.test('a bug is told as one, with exit code 1', async t => {
  const { code, out, err } = await within(['map', 'a.b', '--provider', 'x', '--data', '-', '--json'], {}, { env: new Proxy({}, { get () { throw new TypeError('broken') } }) })
  t.equal(code, 1)
  t.match(JSON.parse(out), { error: { code: 'GW_INTERNAL' } })
  t.match(err, 'GW_INTERNAL')
})

t.test('the version is that of package.json', async t => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
  t.equal((await cli(['--version'])).out, `${version}\n`)
  t.strictSame(JSON.parse((await within(['--version', '--json'])).out), { version: '1.2.3' })
})

t.test('colour goes to a terminal only, and not where NO_COLOR is set', async t => {
  t.equal(await isColoured({}, true), true)
  t.equal(await isColoured({ NO_COLOR: '1' }, true), false)
  t.equal(await isColoured({}, false), false)
})

t.test('what comes from outside cannot steer the terminal', async t => {
  t.equal(printable('a\u001b[31mb\r\nc\u009b\u202e'), 'a\ufffd[31mb\ufffd\ufffdc\ufffd\ufffd')
  t.equal(printable('a\nb', true), 'a\nb')
  t.equal(cell(null), '-')
  t.equal(cell(['a', 'b']), 'a, b')
  t.equal(table(['A', 'B'], [['long', 1], ['x', null]]), 'A     B\nlong  1\nx     -')
})

t.test('durations are said in the largest unit that fits', async t => {
  t.strictSame([1, 1000, 1500, 60_000, 90_000, 86_400_000].map(duration), ['1 ms', '1 s', '1500 ms', '1 m', '90 s', '1 d'])
})

t.test('the first signal stops, later ones cut nothing short, and after 30 seconds the process ends', async t => {
  const told = nothingTold()
  const slept: number[] = []
  const { promise, resolve: wake } = Promise.withResolvers<void>()
  const io = fakeIo([], told, { sleep: ms => { slept.push(ms); return promise } })
  const stopped = stopSignal(io)
  t.strictSame(slept, [])
  told.signals['SIGTERM']?.()
  told.signals['SIGTERM']?.()
  told.signals['SIGINT']?.()
  await stopped
  t.strictSame(slept, [30_000])
  t.strictSame(told.exits, [])
  wake()
  await new Promise(resolve => { setImmediate(resolve) })
  t.strictSame(told.exits, [1])
})

t.test('the README shows every command', async t => {
  const file = join(ROOT, 'README.md')
  const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
  const section = /^## Command line\n([^]*?)(?=^## |$(?![^]))/m.exec(text)?.[1]
  if (section === undefined) {
    t.comment('README.md has no section "Command line": nothing to hold to the table')
    return t.end()
  }
  for (const { name } of COMMANDS) t.ok(section.includes(`gateway ${name}`) || section.includes(`\`${name}`), name)
})

t.test('the codes that the command line gives are in the table of codes', async t => {
  for (const code of ['GW_USAGE', 'GW_UNREACHABLE', 'GW_INTERNAL']) t.ok(Object.hasOwn(CODES, code), code)
})
