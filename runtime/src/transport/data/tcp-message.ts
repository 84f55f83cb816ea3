import type { Socket } from 'node:net';
import { JobError } from '../../core/job-error.ts';

/**
 * Messages on a TCP connection: a head of 13 bytes (length of the body, kind, and two numbers that only pages use), then the body. All
 * numbers are little-endian. A page's body is its records and nothing else, so that what is received can go to another thread as it is.
 */
export interface TcpMessage {
  readonly kind: number;
  readonly channel: number;
  readonly count: number;
  /** Owns its buffer. */
  readonly body: Uint8Array<ArrayBuffer>;
}

const headSizeBytes = 13;
/** A page is a little over 32 KiB, or one record; a record larger than this could not be in anybody's memory budget. */
export const bodySizeBytesMax = 256 * 1024 * 1024;

export function writeMessage(
  socket: Socket,
  message: { kind: number; channel?: number; count?: number; body: Uint8Array },
): void {
  const head = Buffer.allocUnsafe(headSizeBytes);
  head.writeUInt32LE(message.body.byteLength, 0);
  head.writeUInt8(message.kind, 4);
  head.writeUInt32LE(message.channel ?? 0, 5);
  head.writeUInt32LE(message.count ?? 0, 9);
  socket.write(head);
  if (message.body.byteLength > 0) {
    socket.write(message.body);
  }
}

/** Cuts the chunks of a connection into messages. Throws `RecordStreamCorrupt` on what no message begins with. */
export class MessageReader {
  readonly #onMessage: (message: TcpMessage) => void;
  readonly #head = Buffer.alloc(headSizeBytes);
  /** Of the messages to come. */
  sizeBytesMax: number;
  #headFilled = 0;
  #body: Uint8Array<ArrayBuffer> | undefined;
  #bodyFilled = 0;

  constructor(onMessage: (message: TcpMessage) => void, sizeBytesMax: number = bodySizeBytesMax) {
    this.#onMessage = onMessage;
    this.sizeBytesMax = sizeBytesMax;
  }

  read(chunk: Uint8Array): void {
    let position = 0;
    while (position < chunk.length) {
      position = this.#body === undefined ? this.#readHead(chunk, position) : this.#readBody(this.#body, chunk, position);
    }
  }

  #readHead(chunk: Uint8Array, position: number): number {
    const count = Math.min(headSizeBytes - this.#headFilled, chunk.length - position);
    this.#head.set(chunk.subarray(position, position + count), this.#headFilled);
    this.#headFilled += count;
    if (this.#headFilled === headSizeBytes) {
      this.#beginBody(this.#head.readUInt32LE(0));
    }
    return position + count;
  }

  #beginBody(sizeBytes: number): void {
    if (sizeBytes > this.sizeBytesMax) {
      throw new JobError(`a message of ${sizeBytes} bytes on a record stream, where ${this.sizeBytesMax} are the most`, {
        domain: 'external',
        retry: 'backoff',
        code: 'RecordStreamCorrupt',
        remedy: 'Something other than a TaskManager of this release talks to the data port.',
      });
    }
    // Not cleared: every byte is overwritten before anybody sees it.
    this.#body = sizeBytes === 0 ? new Uint8Array() : Buffer.allocUnsafeSlow(sizeBytes);
    this.#bodyFilled = 0;
    this.#finishIfFull(this.#body);
  }

  #readBody(body: Uint8Array<ArrayBuffer>, chunk: Uint8Array, position: number): number {
    const count = Math.min(body.length - this.#bodyFilled, chunk.length - position);
    body.set(position === 0 && count === chunk.length ? chunk : chunk.subarray(position, position + count), this.#bodyFilled);
    this.#bodyFilled += count;
    this.#finishIfFull(body);
    return position + count;
  }

  #finishIfFull(body: Uint8Array<ArrayBuffer>): void {
    if (this.#bodyFilled === body.length) {
      this.#body = undefined;
      this.#headFilled = 0;
      const whole = new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
      this.#onMessage({
        kind: this.#head.readUInt8(4),
        channel: this.#head.readUInt32LE(5),
        count: this.#head.readUInt32LE(9),
        body: whole,
      });
    }
  }
}
