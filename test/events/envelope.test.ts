import t from 'tap'
import { ENVELOPE_RULES, readEnvelope, type EnvelopeContext } from '../../gateway/events/envelope.ts'
import { readTime } from '../../gateway/events/time.ts'

const NOW = Date.UTC(2026, 10, 21, 9, 30)
const CLOUD: EnvelopeContext = { mode: 'cloudevents', defaultSource: '/api/local', nowAt: NOW, shopPattern: /^[a-z0-9][a-z0-9.-]{0,99}$/ }
const PLAIN: EnvelopeContext = { ...CLOUD, mode: 'plain' }
const GOOD = { specversion: '1.0', id: 'e-1', source: '/app', type: 'back_in_stock.alert', time: '2026-11-21T09:00:00Z', shop: 'acme.example', data: { a: 1 } }

function faults (item: unknown, context = CLOUD): string[] {
  const read = readEnvelope(item, context)
  return 'details' in read ? read.details.map(({ path, rule }) => `${path} ${rule}`) : []
}

function without (key: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(GOOD).filter(([name]) => name !== key))
}

t.test('a whole event is read, its data untouched', async t => {
  const read = readEnvelope(GOOD, CLOUD)
  t.strictSame(read, { event: { id: 'e-1', source: '/app', type: 'back_in_stock.alert', shop: 'acme.example', timeAt: Date.UTC(2026, 10, 21, 9), data: { a: 1 } } })
  t.equal('event' in read && read.event.data, GOOD.data)
})

t.test('a plain event may leave out specversion, source and time', async t => {
  const read = readEnvelope({ id: 'e-1', type: 'a.b', shop: 'acme', data: {} }, PLAIN)
  t.strictSame(read, { event: { id: 'e-1', source: '/api/local', type: 'a.b', shop: 'acme', timeAt: NOW, data: {} } })
})

t.test('what CloudEvents allows is accepted', async t => {
  const more: Array<Record<string, unknown>> = [
    { subject: 'variant/1', dataschema: 'https://example.com/schema', datacontenttype: 'application/json' },
    { datacontenttype: 'application/vnd.example+json' }, { datacontenttype: 'application/json; charset=utf-8' },
    { traceparent: '00-x', sequence: 12, flag: true, empty: null, x: 'y'.repeat(1024) },
    { time: null, subject: null }, { id: 'Zoë 🌸 #1' }, { id: 'x'.repeat(200) }, { source: 'https://shop.example/a?b=%20#c' }, { source: 'urn:x:1' },
    { time: '2026-11-21T10:30:00Z' }, { time: '2000-01-01T00:00:00Z' }
  ]
  for (const extra of more) t.strictSame(faults({ ...GOOD, ...extra }), [], JSON.stringify(extra).slice(0, 80))
})

// Every rule of the envelope with something that breaks it and nothing else.
const BROKEN: Record<keyof typeof ENVELOPE_RULES, Array<[item: unknown, path?: string, context?: EnvelopeContext]>> = {
  'event.type': [[null, ''], [[GOOD], ''], ['x', ''], [7, ''], [undefined, '']],
  'event.unknown': [[{ ...GOOD, shopp: 'x' }, '/shopp', PLAIN], [{ ...GOOD, traceparent: 'x' }, '/traceparent', PLAIN], [{ ...GOOD, 'a/b~': 1 }, '/a~1b~0', PLAIN]],
  'event.extension': [
    [{ ...GOOD, traceParent: 'x' }, '/traceParent'], [{ ...GOOD, trace_id: 'x' }, '/trace_id'], [{ ...GOOD, x: {} }, '/x'], [{ ...GOOD, x: ['a'] }, '/x'],
    [{ ...GOOD, x: 'y'.repeat(1025) }, '/x'], [{ ...GOOD, abcdefghijklmnopqrstu: 1 }, '/abcdefghijklmnopqrstu'], [JSON.parse(JSON.stringify(GOOD).replace('{', '{"__proto__":1,')), '/__proto__']
  ],
  'specversion.required': [[without('specversion')], [{ ...GOOD, specversion: null }]],
  'specversion.const': [[{ ...GOOD, specversion: '0.3' }], [{ ...GOOD, specversion: 1 }], [{ ...GOOD, specversion: '1.1' }, '/specversion', PLAIN]],
  'id.required': [[without('id')], [without('id'), '/id', PLAIN], [{ ...GOOD, id: null }]],
  'id.type': [[{ ...GOOD, id: 7 }], [{ ...GOOD, id: {} }]],
  'id.length': [[{ ...GOOD, id: '' }], [{ ...GOOD, id: 'x'.repeat(201) }]],
  'id.characters': [[{ ...GOOD, id: 'a\nb' }], [{ ...GOOD, id: 'a\0' }], [{ ...GOOD, id: '\ud800' }], [{ ...GOOD, id: 'a\u202eb' }], [{ ...GOOD, id: 'a\u2028b' }]],
  'source.required': [[without('source')]],
  'source.type': [[{ ...GOOD, source: 1 }], [{ ...GOOD, source: 1 }, '/source', PLAIN]],
  'source.length': [[{ ...GOOD, source: '' }], [{ ...GOOD, source: '/'.repeat(201) }]],
  'source.format': [[{ ...GOOD, source: 'a b' }], [{ ...GOOD, source: '/ä' }], [{ ...GOOD, source: '/%zz' }], [{ ...GOOD, source: '<x>' }]],
  'source.reserved': [[{ ...GOOD, source: '/sources/hook' }], [{ ...GOOD, source: '/sources' }], [{ ...GOOD, source: '//Sources/hook' }, '/source', PLAIN]],
  'type.required': [[without('type')]],
  'type.type': [[{ ...GOOD, type: ['a'] }]],
  'type.length': [[{ ...GOOD, type: '' }], [{ ...GOOD, type: 'x'.repeat(201) }]],
  'type.characters': [[{ ...GOOD, type: 'back in stock' }], [{ ...GOOD, type: 'a/b' }]],
  'shop.required': [[without('shop')]],
  'shop.type': [[{ ...GOOD, shop: 1 }]],
  'shop.pattern': [[{ ...GOOD, shop: 'Acme' }], [{ ...GOOD, shop: '' }], [{ ...GOOD, shop: '../x' }], [{ ...GOOD, shop: 'x'.repeat(5000) }]],
  'time.type': [[{ ...GOOD, time: NOW }]],
  'time.format': [[{ ...GOOD, time: '2026-11-21' }], [{ ...GOOD, time: '2026-11-21T09:00:00' }], [{ ...GOOD, time: '2026-02-30T09:00:00Z' }], [{ ...GOOD, time: 'yesterday' }], [{ ...GOOD, time: '2026-11-21T09:00:00Z'.repeat(500) }]],
  'time.range': [[{ ...GOOD, time: '2026-11-21T10:30:00.001Z' }], [{ ...GOOD, time: '1999-12-31T23:59:59Z' }], [{ ...GOOD, time: '9999-01-01T00:00:00Z' }]],
  'subject.type': [[{ ...GOOD, subject: 1 }], [{ ...GOOD, subject: '' }], [{ ...GOOD, subject: 'x'.repeat(201) }]],
  'dataschema.format': [[{ ...GOOD, dataschema: '/relative' }], [{ ...GOOD, dataschema: 1 }], [{ ...GOOD, dataschema: `https://example.com/${'x'.repeat(2048)}` }]],
  'datacontenttype.media_type': [[{ ...GOOD, datacontenttype: 'text/xml' }], [{ ...GOOD, datacontenttype: 'application/jsonp' }], [{ ...GOOD, datacontenttype: 1 }]],
  'data_base64.refused': [[{ ...GOOD, data_base64: 'e30=' }]],
  'data.required': [[without('data')], [{ ...GOOD, data: null }]],
  'data.type': [[{ ...GOOD, data: 'x' }], [{ ...GOOD, data: [] }]]
}

for (const name of Object.keys(ENVELOPE_RULES) as Array<keyof typeof ENVELOPE_RULES>) {
  t.test(`rule ${name} has broken cases, and each is refused for it alone`, async t => {
    const [attribute, rule] = name.split('.')
    t.ok(BROKEN[name]?.length > 0)
    for (const [item, path = `/${attribute}`, context = CLOUD] of BROKEN[name]) t.strictSame(faults(item, context), [`${path} ${rule}`])
  })
}

t.test('all faults are named together', async t => {
  t.strictSame(faults({ id: 1, type: '', data: [] }), [
    '/specversion required', '/id type', '/source required', '/type length', '/shop required', '/data type'
  ])
})

t.test('a slip of the pen gets a hint, and nothing of data is repeated', async t => {
  const read = readEnvelope({ ...GOOD, datta: { phone: '+12015550123' }, data: '+12015550123', time: 'x'.repeat(5000) }, PLAIN)
  if (!('details' in read)) return t.fail('was accepted')
  t.match(read.details.find(detail => detail.path === '/datta')?.message, /"data"/)
  t.notMatch(JSON.stringify(read.details), /2015550123/)
  t.ok(JSON.stringify(read.details).length < 1000)
})

t.test('times of RFC 3339', async t => {
  const cases: Array<[text: string, at: number | null]> = [
    ['2026-11-21T09:30:00Z', NOW], ['2026-11-21t09:30:00z', NOW], ['2026-11-21T10:30:00+01:00', NOW], ['2026-11-20T22:00:00-11:30', NOW],
    ['2026-11-21T09:30:00.123456789Z', NOW + 123], ['2016-12-31T23:59:60Z', Date.UTC(2017, 0, 1)], ['2017-01-01T00:59:60+01:00', Date.UTC(2017, 0, 1)],
    ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)], ['2023-02-29T00:00:00Z', null], ['2026-13-01T00:00:00Z', null], ['2026-00-01T00:00:00Z', null],
    ['2026-04-31T00:00:00Z', null], ['2026-11-21T24:00:00Z', null], ['2026-11-21T09:60:00Z', null], ['2026-11-21T09:30:61Z', null], ['2026-11-21T09:30:60Z', null],
    ['2026-11-21T09:30Z', null], ['2026-11-21 09:30:00Z', null], ['2026-11-21T09:30:00+24:00', null], ['2026-11-21T09:30:00+0100', null], ['+002026-11-21T09:30:00Z', null]
  ]
  for (const [text, at] of cases) t.equal(readTime(text), at, text)
})
