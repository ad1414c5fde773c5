// Twilio's error codes: those the sandbox gives by itself, and those that a recipient's number asks it for.

/** A refusal as Twilio words it. */
export interface Refusal { status: number, code: number, message: string }

const REFUSALS = {
  20001: [400, 'Unknown or invalid parameter'],
  20003: [401, 'Authenticate'],
  20404: [404, 'The requested resource was not found'],
  20429: [429, 'Too Many Requests'],
  21211: [400, 'Invalid \'To\' Phone Number'],
  21212: [400, 'Invalid \'From\' Number'],
  21408: [400, 'Permission to send an SMS has not been enabled for the region indicated by the \'To\' number'],
  21602: [400, 'Message body is required'],
  21603: [400, 'A \'From\' phone number or a Messaging Service is required'],
  21604: [400, 'A \'To\' phone number is required'],
  21606: [400, 'The \'From\' phone number provided is not a valid message-capable number for this account'],
  21608: [400, 'The number is unverified. Trial accounts cannot send messages to unverified numbers'],
  21609: [400, 'The StatusCallback URL is not a valid URL'],
  21610: [400, 'Attempt to send to unsubscribed recipient'],
  21611: [400, 'This \'From\' number has exceeded the maximum number of queued messages'],
  21612: [400, 'The message cannot be sent with the current combination of \'To\' and \'From\''],
  21614: [400, '\'To\' number is not a valid mobile number'],
  21617: [400, 'The concatenated message body exceeds the 1600 character limit'],
  21635: [400, '\'To\' number is a landline and cannot receive text messages'],
  21701: [400, 'The Messaging Service does not exist']
} as const satisfies Record<number, readonly [number, string]>

export type RefusalCode = keyof typeof REFUSALS

/** `detail` says it in place of Twilio's own words. */
export function refusal (code: RefusalCode, detail?: string): Refusal {
  const [status, message] = REFUSALS[code]
  return { status, code, message: detail ?? message }
}

/** What became of a message that was taken: how it ends, and why. */
export interface Failure { status: 'failed' | 'undelivered', code: number, message: string }

const FAILURES = {
  30001: ['failed', 'Queue overflow'],
  30002: ['failed', 'Account suspended'],
  30003: ['undelivered', 'Unreachable destination handset'],
  30004: ['undelivered', 'Message blocked'],
  30005: ['undelivered', 'Unknown destination handset'],
  30006: ['undelivered', 'Landline or unreachable carrier'],
  30007: ['undelivered', 'Message filtered'],
  30008: ['undelivered', 'Unknown error'],
  30034: ['undelivered', 'US A2P 10DLC: message from an unregistered number'],
  30036: ['failed', 'Validity period expired'],
  30450: ['failed', 'Message delivery blocked: SMS pumping protection'],
  30610: ['failed', 'Message blocked: quiet hours'],
  30640: ['failed', 'Message blocked: known litigator']
} as const satisfies Record<number, readonly [Failure['status'], string]>

export type FailureCode = keyof typeof FAILURES

/** Recipients that are refused: Twilio's own test numbers, and a range of numbers that nobody has. */
const REFUSED: Readonly<Record<string, RefusalCode>> = {
  '+15005550001': 21211,
  '+15005550002': 21612,
  '+15005550003': 21408,
  '+15005550004': 21610,
  '+15005550009': 21614,
  '+12015550160': 21211,
  '+12015550161': 21212,
  '+12015550162': 21408,
  '+12015550163': 21606,
  '+12015550164': 21608,
  '+12015550165': 21609,
  '+12015550166': 21610,
  '+12015550167': 21611,
  '+12015550168': 21612,
  '+12015550169': 21614,
  '+12015550170': 21635,
  '+12015550171': 21617,
  '+12015550172': 20404,
  '+12015550173': 20003,
  '+12015550174': 20429
}

/** Recipients whose message is taken and fails on its way. */
const FAILED: Readonly<Record<string, FailureCode>> = {
  '+12015550181': 30001,
  '+12015550182': 30002,
  '+12015550183': 30003,
  '+12015550184': 30004,
  '+12015550185': 30005,
  '+12015550186': 30006,
  '+12015550187': 30007,
  '+12015550188': 30008,
  '+12015550189': 30034,
  '+12015550190': 30036,
  '+12015550191': 30450,
  '+12015550192': 30610,
  '+12015550193': 30640
}

/** How a message to this number is refused, null where it is taken. */
export function refusedFor (to: string): Refusal | null {
  const code = REFUSED[to]
  return code === undefined ? null : refusal(code)
}

/** How a message to this number fails on its way, null where it arrives. */
export function failsFor (to: string): Failure | null {
  const code = FAILED[to]
  if (code === undefined) return null
  const [status, message] = FAILURES[code]
  return { status, code, message }
}
