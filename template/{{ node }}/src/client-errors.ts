import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { problemDocument, problemType, title } from './problem.ts'

const refusals: Record<string, [status: number, detail: string]> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request did not arrive in time.'],
  HPE_HEADER_OVERFLOW: [431, 'The request headers are larger than 16 KiB.'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'The chunk extensions are too large.'],
}

/** Answers what could not be read as a request, and closes the connection. */
export function refuse(error: Error & { code?: string }, socket: Duplex): void {
  const [status, detail] = refusals[error.code ?? ''] ?? [400, 'The request is not valid HTTP.']
  answer(socket, status, detail)
}

/** Answers CONNECT: the service is not a proxy. */
export function refuseTunnel(socket: Duplex): void {
  answer(socket, 404, 'There is nothing at this path.')
}

/** With the response that the socket is busy with: Node's own handler asks it, its types lack it. */
interface HttpSocket extends Duplex {
  _httpMessage?: ServerResponse | null
}

// There is no request here, so no framework either: this is the answer on the wire,
// unless another one has begun there.
function answer(socket: HttpSocket, status: number, detail: string): void {
  if (!socket.writable || socket._httpMessage?.headersSent) {
    socket.destroy()
    return
  }
  const body = JSON.stringify(problemDocument(status, detail))
  const head = [
    `HTTP/1.1 ${status} ${title(status)}`,
    `Content-Type: ${problemType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${randomUUID()}`,
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}
