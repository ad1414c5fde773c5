// What the platform team chooses of the Admin API, among sources.shopify.options.

export interface AdminOptions {
  api_version: string
  client_id?: string
  subscriptions: 'app' | 'api'
  reconcile_minutes: number
}

export const ADMIN_OPTIONS = {
  client_id: {
    description: 'The app\'s client id. Access tokens that end are renewed with it.',
    type: 'string',
    pattern: '^[A-Za-z0-9_-]{8,100}$'
  },
  subscriptions: {
    description: 'Who keeps the subscriptions of webhooks: the app\'s configuration file (app), or this gateway, shop by shop, through the Admin API (api).',
    type: 'string',
    enum: ['app', 'api'],
    default: 'app'
  },
  reconcile_minutes: {
    description: 'How often the stock of variants that people wait for is read anew, for what webhooks did not tell.',
    type: 'integer',
    minimum: 5,
    maximum: 1440,
    default: 15
  }
} as const
