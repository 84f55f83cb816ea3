// Covers BinaryWriter and BinaryReader; what types write with them is in t.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobError } from '../job-error.ts';
import { BinaryReader } from './binary-reader.ts';
import { BinaryWriter } from './binary-writer.ts';

const integers = [0, 1, 63, 64, 127, 128, 16383, 16384, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 45 + 1, Number.MAX_SAFE_INTEGER];

const texts = [
  '',
  'a',
  'žluťoučký kůň',
  '\u0000',
  '\ufeffa byte order mark',
  '😀'.repeat(70),
  'x'.repeat(10_000),
  '\ufffd is a character too, not only the mark of a mistake',
  '\ud800',
  'before \udc00 after',
  '\udc00\ud800',
  `é${'\ud800'.repeat(60)}`,
  // Round the lengths at which reader and writer change their ways, and of the length itself.
  ...[1, 8, 15, 16, 17, 23, 24, 25, 40, 42, 43, 63, 64, 126, 127, 128, 129].flatMap((length) => [
    'x'.repeat(length),
    `${'x'.repeat(length - 1)}é`,
    `é${'x'.repeat(length)}`,
    `${'x'.repeat(length)}\udc00`,
  ]),
];

function written(write: (writer: BinaryWriter) => void): Uint8Array {
  const writer = new BinaryWriter(1);
  write(writer);
  return writer.toBytes();
}

test('integers are read as they were written, in the fewest bytes', () => {
  for (const value of integers) {
    const bytes = written((writer) => writer.writeVarint(value));
    assert.equal(new BinaryReader(bytes).readVarint(), value);
    assert.equal(bytes.length, Math.max(1, Math.ceil(value.toString(2).length / 7)), String(value));
    for (const signed of [value, -value]) {
      const zigzag = written((writer) => writer.writeZigzag(signed));
      assert.equal(new BinaryReader(zigzag).readZigzag(), signed + 0);
      const zigzagValue = signed < 0 ? BigInt(-signed) * 2n - 1n : BigInt(signed) * 2n;
      assert.equal(zigzag.length, Math.max(1, Math.ceil(zigzagValue.toString(2).length / 7)), String(signed));
    }
  }
});

test('the bytes of integers are those of the usual varint and zigzag forms', () => {
  assert.deepEqual([...written((writer) => writer.writeVarint(300))], [0xac, 0x02]);
  assert.deepEqual([...written((writer) => writer.writeZigzag(-1))], [0x01]);
  assert.deepEqual([...written((writer) => writer.writeZigzag(1))], [0x02]);
  assert.deepEqual([...written((writer) => writer.writeZigzag(150))], [0xac, 0x02]);
});

test('every string is read as it was written, lone surrogates too, and no two have the same bytes', () => {
  const seen = new Set<string>();
  for (const text of texts) {
    const bytes = written((writer) => writer.writeString(text));
    const reader = new BinaryReader(bytes);
    assert.equal(reader.readString(), text);
    assert.equal(reader.remaining, 0);
    seen.add(bytes.join());
  }
  assert.equal(seen.size, texts.length);
});

test('a well-formed string is UTF-8 after its length', () => {
  for (const text of texts.filter((candidate) => candidate.isWellFormed())) {
    const utf8 = new TextEncoder().encode(text);
    const expected = written((writer) => writer.writeBytes(utf8));
    assert.deepEqual(
      written((writer) => writer.writeString(text)),
      expected,
    );
  }
});

test('values of all kinds follow each other in a buffer that grows', () => {
  const writer = new BinaryWriter(1);
  for (let round = 0; round < 3; round++) {
    writer.reset();
    for (let index = 0; index < 500; index++) {
      writer.writeByte(index & 0xff);
      writer.writeUint32(index * 8_000_000);
      writer.writeDouble(index / 3);
      writer.writeString(`text ${index}`);
      writer.writeBytes(Uint8Array.of(1, 2, 3));
      writer.writeRaw(Uint8Array.of(4));
    }
    const reader = new BinaryReader(writer.view());
    for (let index = 0; index < 500; index++) {
      assert.equal(reader.readByte(), index & 0xff);
      assert.equal(reader.readUint32(), (index * 8_000_000) % 2 ** 32);
      assert.equal(reader.readDouble(), index / 3);
      assert.equal(reader.readString(), `text ${index}`);
      assert.deepEqual(reader.readBytes(), Uint8Array.of(1, 2, 3));
      reader.skip(1);
    }
    assert.equal(reader.remaining, 0);
  }
});

test('bytes that were taken do not change when the writer goes on', () => {
  const writer = new BinaryWriter();
  writer.writeString('first');
  const bytes = writer.toBytes();
  writer.reset();
  writer.writeString('other');
  assert.equal(new BinaryReader(bytes).readString(), 'first');
});

test('reading past the end says what is missing and where', () => {
  const bytes = written((writer) => {
    writer.writeDouble(1);
    writer.writeString('x'.repeat(100));
  });
  for (let end = 0; end < bytes.length; end++) {
    const reader = new BinaryReader(bytes, 0, end);
    assert.throws(
      () => {
        reader.readDouble();
        reader.readString();
      },
      (error) => error instanceof JobError && error.code === 'CorruptBytes' && error.message.includes(`of ${end}`),
    );
  }
});

test('impossible bytes are refused: endless integers, lengths without bytes, text that is not UTF-8', () => {
  const refused: readonly [string, Uint8Array, (reader: BinaryReader) => unknown][] = [
    ['endless integer', new Uint8Array(20).fill(0xff), (reader) => reader.readVarint()],
    ['endless zigzag', new Uint8Array(20).fill(0xff), (reader) => reader.readZigzag()],
    ['integer of zeros', new Uint8Array(20).fill(0x80), (reader) => reader.readVarint()],
    ['more than 2^53', Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f), (reader) => reader.readVarint()],
    ['length without bytes', written((writer) => writer.writeVarint(2 ** 40)), (reader) => reader.readBytes()],
    ['lone continuation', Uint8Array.of(1, 0x80), (reader) => reader.readString()],
    ['cut character', Uint8Array.of(2, 0xe2, 0x82), (reader) => reader.readString()],
    ['overlong', Uint8Array.of(2, 0xc0, 0x80), (reader) => reader.readString()],
    ['beyond Unicode', Uint8Array.of(4, 0xf4, 0x90, 0x80, 0x80), (reader) => reader.readString()],
  ];
  for (const [name, bytes, read] of refused) {
    assert.throws(() => read(new BinaryReader(bytes)), { code: 'CorruptBytes' }, name);
  }
});

test('a reader can be started again on other bytes', () => {
  const reader = new BinaryReader(written((writer) => writer.writeDouble(1.5)));
  assert.equal(reader.readDouble(), 1.5);
  reader.reset(written((writer) => writer.writeDouble(2.5)));
  assert.equal(reader.readDouble(), 2.5);
});
