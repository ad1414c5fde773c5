// The waiting list: who signed up, what is in stock, and who is told when.

import { defineSource } from '../../gateway/define.ts'
import { check } from './check.ts'
import { OPTIONS } from './options.ts'
import { orderPlaced } from './orders.ts'
import { runReminders } from './reminders.ts'
import { runRetention } from './retention.ts'
import { settingsRoutes } from './settings.ts'
import { statements } from './statements.ts'
import { productUpdated, stockChanged, WAVE_JOB } from './stock.ts'
import { runWaves } from './wave.ts'
import * as signups from './signups/index.ts'
import { waveRoutes } from './waves-api.ts'

const REMINDERS = 'waitlist_reminders'
const RETENTION = 'waitlist_retention'

export default defineSource({
  id: 'waitlist',
  options: { ...OPTIONS, properties: { ...OPTIONS.properties as object, ...signups.SIGNUP_OPTIONS } },
  events: ['waitlist.joined', 'back_in_stock.alert', 'back_in_stock.reminder'],
  statements: dialect => ({ ...statements(dialect), ...signups.statements(dialect) }),
  routes: signups.routes,
  privacy: signups.privacy,
  consumes: { 'waitlist.joined': signups.consumesJoined, 'stock.changed': stockChanged, 'product.updated': productUpdated, 'order.placed': orderPlaced },
  jobs: { [WAVE_JOB]: runWaves, [REMINDERS]: runReminders, [RETENTION]: runRetention },
  recurring: [REMINDERS, RETENTION],
  checks: { 'back_in_stock.alert': check, 'back_in_stock.reminder': check },
  api (app, context) {
    settingsRoutes(app, context)
    waveRoutes(app, context)
    signups.api(app, context)
  }
})
