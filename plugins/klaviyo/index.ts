// What provider.yaml has no words for: making the flows of a set-up group.

import { defineProvider } from '../../gateway/define.ts'
import { automatic } from './setup-flows.ts'

export default defineProvider({ id: 'klaviyo', tasks: { automatic } })
