/**
 * Codecs: nanoseconds of CPU per record, of a struct of five fields with two strings, against JSON in the same run. The codecs have seen
 * other types before, as in a process that runs a job of several streams. No threads and no other process: this is the price of
 * the conversion alone.
 */
import { keyGroupOf } from '../../runtime/src/core/key-groups/key-group.ts';
import { PageReader } from '../../runtime/src/core/pages/page-reader.ts';
import { PageWriter } from '../../runtime/src/core/pages/page-writer.ts';
import { BinaryReader } from '../../runtime/src/core/types/binary-reader.ts';
import { BinaryWriter } from '../../runtime/src/core/types/binary-writer.ts';
import { compileProjection } from '../../runtime/src/core/types/compile-codec.ts';
import { t } from '../../runtime/src/core/types/t.ts';
import type { Type } from '../../runtime/src/core/types/type.ts';
import type { Measurement } from './repeated-measurement.ts';

const recordCount = 1000;
const passCount = 400;

const order = t.struct({ user: t.string, page: t.string, timestampMs: t.int, amount: t.double, quantity: t.int });
const records = Array.from({ length: recordCount }, (_, index) => ({
  user: `user-${(index * 7919) % 100_000}`,
  page: `/products/${index % 321}/reviews?sort=newest`,
  timestampMs: 1_700_000_000_000 + index * 37,
  amount: index * 1.25 + 0.1,
  quantity: index % 9,
}));

/** Other shapes, so that nothing is compiled for one type alone. */
const others: readonly (readonly [Type<unknown>, unknown])[] = [
  [t.struct({ a: t.int, b: t.optional(t.string) }), { a: 1 }],
  [t.struct({ tags: t.array(t.string), at: t.struct({ x: t.double, y: t.double }) }), { tags: ['a', 'ž'], at: { x: 1, y: 2 } }],
  [t.array(t.boolean), [true, false]],
  [t.bigint, 2n ** 70n],
  [t.bytes, Uint8Array.of(1, 2, 3)],
  [t.optional(t.string), 'a'.repeat(100)],
  [t.double, 1.5],
];

export function measureCodecs(): Promise<Measurement> {
  const writer = new BinaryWriter();
  const reader = new BinaryReader(new Uint8Array(0));
  for (let pass = 0; pass < 2000; pass++) {
    for (const [type, value] of others) {
      writer.reset();
      type.encode(value, writer);
      type.encodeKey(value, writer);
      reader.reset(writer.view());
      type.decode(reader);
      type.decodeKey(reader);
    }
  }
  const encodeAll = (encode: (record: (typeof records)[number], writer: BinaryWriter) => void): Uint8Array => {
    writer.reset();
    for (const record of records) {
      encode(record, writer);
    }
    return writer.view();
  };
  const decodeAll = <T>(bytes: Uint8Array, decode: (reader: BinaryReader) => T): T[] => {
    reader.reset(bytes);
    const decoded: T[] = [];
    while (reader.remaining > 0) {
      decoded.push(decode(reader));
    }
    return decoded;
  };
  const encoded = encodeAll(order.encode).slice();
  const encodedAny = encodeAll(t.any.encode).slice();
  const keys = encodeAll((record, to) => t.string.encodeKey(record.user, to)).slice();
  const pageWriter = new PageWriter(order as Type<unknown>);
  const pageReader = new PageReader();
  const written = pages(pageWriter);
  const user = compileProjection(order.descriptor, ['user']);
  const lines = records.map((record) => JSON.stringify(record));
  const work: Readonly<Record<string, () => unknown>> = {
    encodeNs: () => encodeAll(order.encode),
    decodeNs: () => decodeAll(encoded, order.decode),
    encodeAnyNs: () => encodeAll(t.any.encode),
    decodeAnyNs: () => decodeAll(encodedAny, t.any.decode),
    jsonStringifyNs: () => records.map((record) => JSON.stringify(record)),
    jsonParseNs: () => lines.map((line) => JSON.parse(line) as unknown),
    encodeStringKeyNs: () => encodeAll((record, to) => t.string.encodeKey(record.user, to)),
    decodeStringKeyNs: () => decodeAll(keys, t.string.decodeKey),
    keyGroupNs: () => {
      let sum = 0;
      for (const { user } of records) {
        writer.reset();
        t.string.encodeKey(user, writer);
        sum += keyGroupOf(writer.buffer, 128, 0, writer.length);
      }
      return sum;
    },
    skipNs: () => {
      reader.reset(encoded);
      while (reader.remaining > 0) {
        order.skip(reader);
      }
    },
    projectNs: () => decodeAll(encoded, user),
    writePageNs: () => pages(pageWriter),
    readPageNs: () => written.map((page) => pageReader.read(page, order)),
    encodeIntKeyNs: () => encodeAll((record, to) => t.int.encodeKey(record.timestampMs, to)),
  };
  const measured = Object.entries(work).map(([name, action]) => [name, cpuNsPerRecord(action)] as const);
  return Promise.resolve({ ...Object.fromEntries(measured), bytesPerRecord: encoded.length / recordCount });
}

/** As a channel writes them: of 32 KiB, with event times. */
function pages(writer: PageWriter): Uint8Array[] {
  const finished: Uint8Array[] = [];
  for (const record of records) {
    writer.write(record, record.timestampMs);
    if (writer.sizeBytes >= 32 * 1024) {
      finished.push(writer.finish());
    }
  }
  finished.push(writer.finish());
  return finished;
}

/** The best of some rounds is the one that others on the machine disturbed least. */
function cpuNsPerRecord(action: () => unknown): number {
  const rounds = Array.from({ length: 5 }, () => {
    const start = process.cpuUsage();
    for (let pass = 0; pass < passCount / 5; pass++) {
      action();
    }
    const { user, system } = process.cpuUsage(start);
    return ((user + system) * 1000) / ((passCount / 5) * recordCount);
  });
  return Math.round(Math.min(...rounds) * 10) / 10;
}
