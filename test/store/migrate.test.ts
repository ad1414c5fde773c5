// Files of earlier versions: what is in them stays, and what the newer version needs is added.

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { STATE } from '../../gateway/contract.ts'
import { migrations } from '../../gateway/store/migrate.ts'
import { openSqlite } from '../../gateway/store/sqlite.ts'
import { claim, NOW, one, place, put, settleStep, startStep } from '../conformance/store-rows.ts'
import { tempDir } from '../helpers/tmp.ts'

t.test('a file of any earlier version is brought up to date, with its deliveries and calls', async t => {
  const all = migrations('sqlite')
  for (const { version } of all.slice(0, -1)) {
    const path = join(tempDir(t), 'gateway.db')
    const db = new DatabaseSync(path)
    for (const migration of all.slice(0, version)) db.exec(migration.sql)
    db.exec(`
      pragma user_version = ${version};
      insert into shops (shop_key, id, name, domain, plan, created_at, updated_at) values (1, 'acme.example', 'Acme', 'acme.example', 'pro', 1, 1);
      insert into accounts (account_key, provider, account, slot) values (1, 'alpha', 'A1', 7);
      insert into queues (queue_key, shop_key, channel, setup_group, provider, account_key) values (1, 1, 'sms', 'things', 'alpha', 1);
      insert into events (event_key, id, shop_key, source, source_id, type, time_at, received_at, data) values (1, 'evt_1', 1, '/test', 's1', 'thing.happened', 1, 1, '{}');
      insert into deliveries (delivery_key, id, event_key, queue_key, state, priority, expires_at, created_at, attempts, account_key, call_no, lane, reserved_at, outcome)
        values (1, 'dlv_1', 1, 1, ${STATE.unknown}, 2, 9, 1, 2, 1, 2, 'messages', 5, 'unknown');
      insert into calls (delivery_key, call_no, account_key, reserved_at, outcome) values (1, 1, 1, 3, 'unknown')`)
    db.close()
    const store = openSqlite({ path, now: () => NOW })
    t.match(await store.read('delivery_by_id', { id: 'dlv_1' }), [{ state: STATE.unknown, attempts: 2, receipt: null, adjusted: null }], `from ${version}`)
    t.match(await store.read('calls_of_delivery', { delivery_key: 1 }), [{ call_no: 1, reserved_at: 3, receipt: null }])
    const adopted = await one(store, 'adopt_answer', { delivery_key: 1, account_key: 1, call_no: 2, receipt: 'm1', state: STATE.delivered, reason: 'accepted_elsewhere', detail: null, now: NOW })
    t.equal(adopted.changes, 1, 'what it left unknown can be resolved')
    const at = await place(store)
    const event = await put(store, at)
    t.strictSame(await claim(store, at), [event.deliveryKey])
    await store.commit([startStep(store, event.deliveryKey, { accountKey: at.accountKey }), settleStep(store, event.deliveryKey, { receipt: 'm2' })])
    t.match(await store.read('delivery_by_id', { id: event.id }), [{ state: STATE.delivered, receipt: 'm2' }])
    await store.close()
  }
})
