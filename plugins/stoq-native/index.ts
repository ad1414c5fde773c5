// What provider.yaml has no words for: finding a message whose answer was lost, and Twilio's reports of what became of one.

import { defineProvider } from '../../gateway/define.ts'
import { find } from './find.ts'
import { status } from './status.ts'

export default defineProvider({ id: 'stoq-native', reconcile: find, routes: status, secrets: ['callback_token'] })
