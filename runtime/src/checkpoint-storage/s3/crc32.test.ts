import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import test from 'node:test';
import { crc32 } from 'node:zlib';
import { combineCrc32, crc32Base64 } from './crc32.ts';

test('checksums of pieces, put together, are that of the whole, for pieces of any length', () => {
  for (const [first, second] of [
    [0, 0],
    [0, 5],
    [5, 0],
    [1, 1],
    [3, 70_001],
    [1 << 20, 1 << 18],
  ] as const) {
    const [a, b] = [randomBytes(first), randomBytes(second)];
    assert.equal(combineCrc32(crc32(a), crc32(b), second), crc32(Buffer.concat([a, b])), `${first} + ${second}`);
  }
});

test('a checksum is written as S3 writes it', () => {
  // The check value of CRC-32, of the digits 1 to 9.
  assert.equal(crc32Base64(crc32(Buffer.from('123456789'))), Buffer.from('cbf43926', 'hex').toString('base64'));
});
