// Reads a file as spreadsheets write it: UTF-8 or UTF-16, with commas, semicolons or tabs.

import { parse, CsvError } from 'csv-parse'
import { GatewayError } from '../../../gateway/errors.ts'

export const ROWS_MAX = 10_000
const CHUNK_CHARS = 64 * 1024
const ROW_CHARS_MAX = 64 * 1024
const DELIMITERS = [',', ';', '\t']

/** The header and the rows after it, cell by cell. Throws GW_REQUEST_INVALID or GW_TOO_LARGE, with the line. */
export async function readCsv (bytes: Buffer): Promise<{ header: string[], rows: string[][] }> {
  const text = textOf(bytes)
  const parser = parse({ bom: true, delimiter: delimiterOf(text), relax_column_count: true, skip_empty_lines: true, max_record_size: ROW_CHARS_MAX })
  const feed = async (): Promise<void> => {
    for (let at = 0; at < text.length; at += CHUNK_CHARS) if (!parser.write(text.slice(at, at + CHUNK_CHARS))) await new Promise<void>(resolve => { parser.once('drain', () => { resolve() }).once('close', () => { resolve() }) })
    parser.end()
  }
  const rows: string[][] = []
  const fed = feed()
  fed.catch(() => {}) // the parser tells it
  try {
    for await (const row of parser as AsyncIterable<string[]>) {
      if (rows.length > ROWS_MAX) throw new GatewayError('GW_TOO_LARGE', `The file has more than ${ROWS_MAX} rows: send it in parts, each with the header.`)
      rows.push(row)
    }
    await fed
  } catch (error) {
    parser.destroy()
    if (error instanceof CsvError) throw invalid(error.code === 'CSV_MAX_RECORD_SIZE' ? `A row has more than ${ROW_CHARS_MAX} characters; a quote may be missing before it.` : `The file is no CSV: ${error.message}.`)
    throw error
  }
  const [header = [], ...rest] = rows
  return { header: header.map(name => name.trim()), rows: rest }
}

function textOf (bytes: Buffer): string {
  const [first, second] = bytes
  const encoding = first === 0xff && second === 0xfe ? 'utf-16le' : first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8'
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(bytes)
    if (!text.includes('\0')) return text
  } catch {}
  throw invalid('The file is neither UTF-8 nor UTF-16: save it as "CSV UTF-8".')
}

/** Of the header: whichever stands there most often. */
function delimiterOf (text: string): string {
  const header = /^[^\r\n]*/.exec(text.trimStart())?.[0] ?? ''
  const counts = DELIMITERS.map(one => header.split(one).length)
  return DELIMITERS[counts.indexOf(Math.max(...counts))] as string
}

function invalid (message: string): GatewayError { return new GatewayError('GW_REQUEST_INVALID', message) }
