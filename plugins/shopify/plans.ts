// Which lines of an order are preorders: by their properties, else by their selling plan, which is looked up. From 2026-10 on a line
// says that it has a plan; of an order in an older version the lines are asked for.

import { idIn, type Json } from './body.ts'
import type { PlanFound } from './look-ups.ts'
import { isPreorder } from './preorder.ts'
import type { Work } from './work.ts'

const PREORDER = 'PRE_ORDER'
const PLANS_SINCE = '2026-10'

/** `unresolved`: it has a selling plan, nothing else tells, and nobody could be asked. */
export type LineKind = 'preorder' | 'unresolved' | 'ordinary'

export interface Line { body: Json, quantity: number, kind: LineKind, /** When it ships, as its plan says. */ timeline: string | null }

/** `hidden`: whether other lines have a plan nobody told. */
export interface Planned { lines: Line[], hidden: boolean }

export async function planned (order: string, given: ReadonlyArray<Pick<Line, 'body' | 'quantity'>>, work: Work): Promise<Planned> {
  const { options: { preorder_properties: rules, timeline_property: timeline }, shop, lookUps } = work
  const byProperty = given.map(({ body }) => isPreorder(body, rules))
  const told = saysPlans(given, work) ? given.map(({ body }) => body.selling_plan_id ?? null) : byProperty.every(Boolean) ? [] : await plansOf(order, given, work)
  const plans = given.map((_, i) => told === null ? null : told[i] ?? null)
  const wanted = plans.filter((plan, i) => plan !== null && (!byProperty[i] || timeline === undefined)).map(idIn).filter(id => id !== null)
  const answer = wanted.length === 0 ? 'unavailable' : await lookUps.sellingPlans(shop, [...new Set(wanted)])
  const found = (plan: unknown): PlanFound | undefined => answer === 'unavailable' ? undefined : answer.get(idIn(plan) ?? '')
  return {
    lines: given.map(({ body, quantity }, i) => ({ body, quantity, kind: byProperty[i] ? 'preorder' : kindOf(plans[i], found(plans[i])), timeline: found(plans[i])?.timeline ?? null })),
    hidden: told === null
  }
}

function kindOf (plan: unknown, found: PlanFound | undefined): LineKind {
  if (plan === null || plan === undefined) return 'ordinary'
  if (found === undefined) return 'unresolved'
  return found.category === PREORDER ? 'preorder' : 'ordinary'
}

function saysPlans (lines: ReadonlyArray<Pick<Line, 'body'>>, { received: { headers } }: Work): boolean {
  return lines.some(({ body }) => body.selling_plan_id !== undefined) || (headers['api-version'] ?? PLANS_SINCE) >= PLANS_SINCE
}

/** Lines have no id that both sides know: of equal variants the first goes to the first. Null where nobody could be asked. */
async function plansOf (order: string, lines: ReadonlyArray<Pick<Line, 'body'>>, { lookUps, shop }: Work): Promise<Array<string | null> | null> {
  const asked = await lookUps.orderLines(shop, order)
  if (asked === 'unavailable') return null
  const left = asked.map(({ variant, sellingPlanId }) => ({ variant: idIn(variant), sellingPlanId }))
  return lines.map(({ body }) => {
    const at = left.findIndex(({ variant }) => variant === idIn(body.variant_id))
    return at === -1 ? null : left.splice(at, 1)[0]?.sellingPlanId ?? null
  })
}
