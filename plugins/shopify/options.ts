// What the platform team chooses of this source, under sources.shopify.options.

import type { SourceCode } from '../../gateway/define.ts'
import { ADMIN_OPTIONS } from './admin/options.ts'
import { COUNTRIES } from './country.ts'

/** A property of an order line that tells a preorder; without a value any that is not empty does. */
export interface PreorderRule { name: string, value?: string }

export interface Options {
  api_version: string
  preorder_properties: PreorderRule[]
  timeline_property?: string
  country: string
  /** Plan of this gateway by handle or name of the app's plan. */
  plans: Record<string, string>
  free_plan: string
}

/** Seen in a public theme that uses STOQ, so an observation and no contract. */
const PREORDER_PROPERTIES: PreorderRule[] = [{ name: '_stoq_preorder_source' }, { name: '_stoq_shopify_selling_plan_id' }, { name: 'Purchase Type', value: 'Preorder' }]

export const OPTIONS: NonNullable<SourceCode['options']> = {
  type: 'object',
  additionalProperties: false,
  properties: {
    api_version: {
      description: 'The API version that the subscriptions ask for. Another one is worked on too, with a warning: Shopify falls forward to a later one when this is out of support.',
      type: 'string',
      pattern: '^(20[0-9]{2}-[0-9]{2}|unstable)$',
      default: '2026-10'
    },
    preorder_properties: {
      description: 'An order line is a preorder if it has any of these properties: by name, and by value where one is given (upper and lower case alike).',
      type: 'array',
      maxItems: 50,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['name'],
        properties: {
          name: { description: 'Name of the property, exactly.', type: 'string', minLength: 1, maxLength: 255 },
          value: { description: 'Its value; without it any value that is not empty.', type: 'string', minLength: 1, maxLength: 255 }
        }
      },
      default: PREORDER_PROPERTIES
    },
    timeline_property: {
      description: 'Name of the property of an order line that says when a preorder ships. Where no line has it, the selling plan says it, if the Admin API is connected.',
      type: 'string',
      minLength: 1,
      maxLength: 255
    },
    country: {
      description: 'Country (ISO 3166, such as US) that is taken where neither an address nor a phone number of the order says one.',
      type: 'string',
      enum: [...COUNTRIES],
      default: 'US'
    },
    plans: {
      description: 'Which plan (of plans) a subscription of the app pays for, by its handle or its name at Shopify. Without any, shops keep their plan whatever they pay.',
      type: 'object',
      maxProperties: 100,
      propertyNames: { minLength: 1, maxLength: 200 },
      additionalProperties: { description: 'Name of a plan of this gateway.', type: 'string', minLength: 1, maxLength: 100 },
      default: {}
    },
    free_plan: {
      description: 'Plan (of plans) of a shop whose subscription has ended.',
      type: 'string',
      minLength: 1,
      maxLength: 100,
      default: 'free'
    },
    ...ADMIN_OPTIONS
  }
}
