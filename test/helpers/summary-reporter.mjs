// Plain summary: a line per test file, failures in full, totals last. No colours, no cursor codes.
import { Transform } from 'node:stream'
import { Parser } from 'tap-parser'

export default class Summary extends Transform {
  #parser = new Parser()
  #total = { pass: 0, fail: 0, skip: 0, todo: 0 }

  constructor () {
    super({ encoding: 'utf8' })
    this.#walk(this.#parser, [], [])
    this.#parser.on('complete', result => {
      const { pass, fail, skip, todo } = this.#total
      const bad = fail + todo + (result.ok || fail > 0 ? 0 : 1) // a file that died without a failed check counts as one
      this.push(`\n${result.ok ? 'ok' : 'NOT OK'}: ${result.pass} of ${result.count} test files\n${pass} passed, ${bad} failed, ${skip} skipped\n`)
    })
  }

  #walk (parser, trail, failures) {
    let group = false // the next result sums up a child and is no check of its own
    parser.on('child', child => {
      group = true
      const top = trail.length === 0
      if (top) failures = []
      this.#walk(child, [...trail, child.name], failures)
    })
    parser.on('assert', assert => {
      const kind = assert.skip ? 'skip' : assert.todo ? 'todo' : assert.ok ? 'pass' : 'fail'
      if (trail.length === 0) this.#file(assert, failures)
      else if (!group) {
        this.#total[kind]++
        if (kind === 'fail') failures.push(`not ok: ${[...trail, assert.name].join(' > ')}\n${JSON.stringify(assert.diag ?? {}, null, 2)}\n`)
      }
      group = false
    })
  }

  #file (assert, failures) {
    this.push(`${assert.skip ? 'SKIP' : assert.ok ? 'PASS' : 'FAIL'}  ${assert.name}  (${Math.round(assert.time ?? 0)} ms)\n`)
    if (assert.ok) return
    if (failures.length === 0) {
      const { exitCode, signal, tapError, failure } = assert.diag ?? {}
      failures.push(`no check failed, the file did: ${JSON.stringify({ exitCode, signal, error: tapError ?? failure })}\n`)
    }
    for (const failure of failures) this.push(`\n${failure}\n`)
  }

  _transform (chunk, _encoding, done) { this.#parser.write(chunk.toString()); done() }
  _flush (done) { this.#parser.end(); done() }
}
