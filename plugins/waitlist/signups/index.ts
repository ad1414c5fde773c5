// Signing up: from pages, by events, from files; who waits; and what is kept of people.

export { api } from './api.ts'
export { consumesJoined } from './joined.ts'
export { SIGNUP_OPTIONS } from './limits.ts'
export { privacy } from './privacy.ts'
export { statements } from './statements.ts'
export { routes } from './storefront.ts'
