// Reads bodies as bytes, and lets no more of them be held at once than there is room for, however many callers there are.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { GatewayError } from '../errors.ts'

/** Of all bodies that are being read or worked on together. */
const HELD_CAP_BYTES = 64 * 1024 * 1024

export class Bodies {
  #held = 0
  #cap: number

  constructor (cap = HELD_CAP_BYTES) { this.#cap = cap }

  /** Bytes that are held at this moment. */
  get held (): number { return this.#held }

  /** The body; what it takes is given back when the answer is out or the caller gone. Throws GW_TOO_LARGE, GW_BUSY, or what the connection says. */
  read (request: FastifyRequest, reply: FastifyReply): Promise<Buffer> {
    const { bodyLimit } = request.routeOptions
    const { raw } = request
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      let length = 0
      const release = (): void => { this.#held -= length; length = 0 }
      const refuse = (error: Error): void => {
        void reply.header('connection', 'close') // what it still sends is not waited for
        raw.off('data', take).off('end', end)
        chunks.length = 0
        release()
        reject(error)
      }
      const take = (chunk: Buffer): void => {
        if (length + chunk.length > bodyLimit) return refuse(tooLarge(bodyLimit))
        if (this.#held + chunk.length > this.#cap) return refuse(new GatewayError('GW_BUSY', 'Too much is being received at this moment.'))
        this.#held += chunk.length
        length += chunk.length
        chunks.push(chunk)
      }
      const end = (): void => { resolve(Buffer.concat(chunks, length)) }
      if (Number(request.headers['content-length']) > bodyLimit) return refuse(tooLarge(bodyLimit))
      raw.on('data', take).once('end', end).once('error', refuse)
      reply.raw.once('close', release)
    })
  }
}

function tooLarge (limit: number): GatewayError {
  return new GatewayError('GW_TOO_LARGE', `The body has more than ${limit} bytes.`)
}
