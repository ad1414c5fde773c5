// What provider.yaml has no words for: finding a message whose answer was lost, and what Twilio tells by itself.

import { defineProvider } from '../../gateway/define.ts'
import { find } from './find.ts'
import { status } from './status.ts'
import { reported, understand } from './understand.ts'

export default defineProvider({ id: 'stoq-native', reconcile: find, routes: status, understand, reported, secrets: ['callback_token'] })
