import { STATUS_CODES } from 'node:http'

export const problemType = 'application/problem+json'

/** A mistake of the client: the status and the sentence that it reads. */
export class Problem extends Error {
  override name = 'Problem'
  readonly statusCode: number

  constructor(statusCode: number, detail: string) {
    super(detail)
    this.statusCode = statusCode
  }
}

export interface ProblemDocument {
  title: string
  status: number
  detail: string
}

/** The body of an error answer (RFC 9457). */
export function problemDocument(status: number, detail: string): ProblemDocument {
  return { title: title(status), status, detail }
}

export function title(status: number): string {
  // Node still has the phrase that RFC 9110 replaced.
  return status === 413 ? 'Content Too Large' : (STATUS_CODES[status] ?? 'Unknown Error')
}
