// That a connection's chunks may be cut anywhere. The connection itself is tested in data-transport.test.ts.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { bodySizeBytesMax, MessageReader, type TcpMessage, writeMessage } from './tcp-message.ts';

function bytesOf(messages: readonly Omit<TcpMessage, 'body'>[], bodies: readonly Uint8Array[]): Buffer {
  const written: Uint8Array[] = [];
  const socket = { write: (chunk: Uint8Array) => written.push(chunk) } as unknown as Socket;
  messages.forEach((message, index) => {
    writeMessage(socket, { ...message, body: bodies[index] ?? new Uint8Array() });
  });
  return Buffer.concat(written);
}

test('messages come out as they went in, however the connection cuts them', () => {
  const messages = [
    { kind: 4, channel: 7, count: 3 },
    { kind: 5, channel: 0, count: 0 },
    { kind: 4, channel: 2 ** 32 - 1, count: 2 ** 32 - 1 },
  ];
  const bodies = [Uint8Array.of(1, 2, 3, 4, 5), new Uint8Array(), Uint8Array.from({ length: 40 }, (_, index) => index)];
  const bytes = bytesOf(messages, bodies);
  for (let chunkSize = 1; chunkSize <= bytes.length; chunkSize++) {
    const read: TcpMessage[] = [];
    const reader = new MessageReader((message) => read.push(message));
    for (let start = 0; start < bytes.length; start += chunkSize) {
      reader.read(bytes.subarray(start, start + chunkSize));
    }
    assert.deepEqual(
      read,
      messages.map((message, index) => ({ ...message, body: bodies[index] })),
      `chunks of ${chunkSize}`,
    );
    assert(read.every(({ body }) => body.byteLength === body.buffer.byteLength));
  }
});

test('a length that no message has is refused before memory is taken for it', () => {
  const head = Buffer.alloc(13);
  head.writeUInt32LE(bodySizeBytesMax + 1, 0);
  const reader = new MessageReader(() => assert.fail('there is no message'));
  assert.throws(() => reader.read(head), { code: 'RecordStreamCorrupt' });
});
