// Beacon, where the arrival of a test event can be looked up.

const REQUEST = '  sent_events: { method: GET, path: /events, query: { topic: "{{ map.topic }}", since: "{{ map.since }}" } }\n'

const ARRIVAL = `    arrival:
      within: 6s
      look_up:
        topic: { request: topics, items: /topics, match: { /name: "{{ trigger }}" } }
        event: { request: sent_events, with: { topic: "{{ found.topic.id }}", since: "{{ sent.time }}" }, items: /events, match: { /key: "{{ sent.id }}", /to/phone: "{{ sent.phone }}" } }
    says: { not_arrived: Beacon lost it., scope_missing: You may not look. }
`

/** Beacon's manifest with it; `within` as provider.yaml writes it. */
export function withArrival (manifest: string, within = '6s'): string {
  return manifest
    .replace('GET /topics,', 'GET /topics, GET /events,')
    .replace('settings:\n', `${REQUEST}settings:\n`)
    .replace('    text: Send one.\n', `    text: Send one.\n${ARRIVAL.replace('6s', within)}`)
}
