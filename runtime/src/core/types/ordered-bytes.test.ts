// Properties of the bytes of keys, over values made from seeds: order, one form per value, no ambiguity. Fixed bytes are in
// ../key-groups/golden-keys.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobError } from '../job-error.ts';
import { BinaryReader } from './binary-reader.ts';
import { BinaryWriter } from './binary-writer.ts';
import { t } from './t.ts';
import type { Type, TypeDescriptor } from './type.ts';
import { formatDescriptor } from './type-descriptor.ts';
import { canonical, createRandom, primitiveSamples, type Random, randomSample, type Sample } from './type-fixtures.ts';

function keyBytes(type: Type<unknown>, value: unknown): Uint8Array {
  const writer = new BinaryWriter(1);
  type.encodeKey(value, writer);
  return writer.toBytes();
}

/** The natural order of a type's values, told without their bytes. */
function compareValues(descriptor: TypeDescriptor, a: unknown, b: unknown): number {
  switch (descriptor.type) {
    case 'string':
      return compareLists(codePoints(a as string), codePoints(b as string), compareNumbers);
    case 'bytes':
      return compareLists([...(a as Uint8Array)], [...(b as Uint8Array)], compareNumbers);
    case 'array':
      return compareLists(a as unknown[], b as unknown[], (x, y) => compareValues(descriptor.element, x, y));
    case 'optional':
      return a === undefined || b === undefined
        ? Number(a !== undefined) - Number(b !== undefined)
        : compareValues(descriptor.of, a, b);
    case 'struct':
      for (const { name, type } of descriptor.fields) {
        const order = compareValues(type, (a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name]);
        if (order !== 0) {
          return order;
        }
      }
      return 0;
    default:
      return compareNumbers(a as number, b as number);
  }
}

/** Of numbers, bigints and booleans; NaN is equal to itself and last, 0 and -0 are equal. */
function compareNumbers(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : Number(Number.isNaN(a)) - Number(Number.isNaN(b));
}

function compareLists<T>(a: readonly T[], b: readonly T[], compare: (x: T, y: T) => number): number {
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const order = compare(a[index] as T, b[index] as T);
    if (order !== 0) {
      return order;
    }
  }
  return Math.sign(a.length - b.length);
}

function codePoints(text: string): number[] {
  return [...text].map((character) => character.codePointAt(0) ?? 0);
}

function checkPair(type: Type<unknown>, a: unknown, b: unknown, about: string): void {
  const aBytes = keyBytes(type, a);
  const bBytes = keyBytes(type, b);
  const order = compareValues(type.descriptor, a, b);
  assert.equal(Buffer.compare(aBytes, bBytes), order, `${about}: order`);
  if (order !== 0) {
    const common = Math.min(aBytes.length, bBytes.length);
    assert.notEqual(Buffer.compare(aBytes.subarray(0, common), bBytes.subarray(0, common)), 0, `${about}: one begins the other`);
  }
}

function checkRoundTrip(type: Type<unknown>, value: unknown, about: string): void {
  const bytes = keyBytes(type, value);
  const reader = new BinaryReader(bytes);
  assert.deepEqual(type.decodeKey(reader), canonical(value), about);
  assert.equal(reader.remaining, 0, about);
  reader.reset(bytes);
  type.skipKey(reader);
  assert.equal(reader.remaining, 0, about);
}

for (const { type, value } of primitiveSamples) {
  test(`keys of type ${type.descriptor.type} sort as their values do, and are read as they were written`, () => {
    for (let seed = 1; seed <= 5000; seed++) {
      const random = createRandom(seed * 7919);
      const a = value(random);
      checkPair(type, a, value(random), `seed ${seed}`);
      checkRoundTrip(type, a, `seed ${seed}`);
    }
  });
}

/** Of two random values few of a large type are alike in their first part; this takes parts of one for the other. */
function mixed(a: unknown, b: unknown, random: Random): unknown {
  if (random(3) === 0) {
    return b;
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    const count = random(a.length + 1);
    return [...a.slice(0, count), ...b.slice(count)];
  }
  if (typeof a === 'object' && typeof b === 'object' && a !== null && b !== null && !(a instanceof Uint8Array)) {
    const other = b as Record<string, unknown>;
    return Object.fromEntries(
      Object.entries(a).map(([name, part]) => [name, name in other ? mixed(part, other[name], random) : part]),
    );
  }
  return a;
}

test('keys of nested types sort as their values do, and are read as they were written', () => {
  for (let seed = 1; seed <= 600; seed++) {
    const random = createRandom(seed * 104729);
    const { type, value } = randomSample(random, 3);
    const about = `seed ${seed}: ${formatDescriptor(type.descriptor)}`;
    for (let round = 0; round < 15; round++) {
      const a = value(random);
      checkPair(type, a, mixed(a, value(random), random), about);
      checkRoundTrip(type, a, about);
    }
  }
});

test('keys put after each other without lengths are read one by one, and sort part by part', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = createRandom(seed * 31337);
    const parts: readonly Sample[] = Array.from({ length: 1 + random(4) }, () => randomSample(random, 2));
    for (let round = 0; round < 6; round++) {
      const [a, b] = [0, 1].map(() => parts.map(({ value }) => value(random)));
      assert.ok(a !== undefined && b !== undefined);
      const order = parts.reduce((found, part, index) => found || compareValues(part.type.descriptor, a[index], b[index]), 0);
      assert.equal(Buffer.compare(concatenated(parts, a), concatenated(parts, b)), order, `seed ${seed}`);
      const reader = new BinaryReader(concatenated(parts, a));
      assert.deepEqual(
        parts.map((part) => part.type.decodeKey(reader)),
        a.map(canonical),
        `seed ${seed}`,
      );
      assert.equal(reader.remaining, 0);
    }
  }
});

function concatenated(parts: readonly Sample[], row: readonly unknown[]): Uint8Array {
  return Buffer.concat(parts.map(({ type }, index) => keyBytes(type, row[index])));
}

test('equal values have equal bytes, however their objects were made', () => {
  const type = t.struct({ name: t.string, shard: t.optional(t.int), weights: t.array(t.double) }) as Type<unknown>;
  const bytes = keyBytes(type, { name: 'a', weights: [0, Number.NaN] });
  const otherNaN = new Float64Array(new BigUint64Array([0xfff8000000000001n]).buffer)[0];
  assert.deepEqual(keyBytes(type, { weights: [-0, otherNaN], shard: undefined, name: 'a' }), bytes);
});

test('bytes that are read as a key are the bytes of that key; others are refused', () => {
  let readCount = 0;
  for (let seed = 1; seed <= 800; seed++) {
    const random = createRandom(seed * 15485863);
    const { type, value } = randomSample(random, 2);
    const about = `seed ${seed}: ${formatDescriptor(type.descriptor)}`;
    for (let round = 0; round < 10; round++) {
      readCount += refusedOrRead(type, changed(keyBytes(type, value(random)), random), about);
    }
  }
  assert.ok(readCount > 1000 && readCount < 7000, `${readCount} were read`);
});

/** One byte is another one, which stays near enough to a key to be one at times; or the end is missing. */
function changed(bytes: Uint8Array, random: Random): Uint8Array {
  return random(4) > 0 ? bytes.with(random(bytes.length), random(256)) : bytes.subarray(0, random(bytes.length));
}

/** 1 when the bytes were read, and then they must be what would be written. */
function refusedOrRead(type: Type<unknown>, bytes: Uint8Array, about: string): number {
  const reader = new BinaryReader(bytes);
  let decoded: unknown;
  try {
    decoded = type.decodeKey(reader);
  } catch (error) {
    assert.ok(error instanceof JobError && error.code === 'CorruptBytes', `${about}: ${error}`);
    return 0;
  }
  assert.deepEqual(keyBytes(type, decoded), bytes.slice(0, reader.position), about);
  return 1;
}

const hostile: readonly (readonly [string, unknown, string])[] = [
  ['an int that would have fitted fewer bytes', t.int, 'f8086f'],
  ['a larger int with a leading zero', t.int, 'f900ffff'],
  ['an int beyond 2^53 - 1', t.int, 'fd20000000000000'],
  ['an int below -(2^53 - 1)', t.int, '02e0000000000000'],
  ['an int of eight bytes', t.int, 'fe0000000000000000'],
  ['a first byte that no int has', t.int, '00'],
  ['-0', t.double, '7fffffffffffffff'],
  ['a NaN with a payload', t.double, 'fff8000000000001'],
  ['a negative NaN', t.double, '0007ffffffffffff'],
  ['a bigint with a leading zero', t.bigint, '8200ff'],
  ['a negative bigint with a leading zero', t.bigint, '7eff00'],
  ['a bigint longer than its bytes', t.bigint, 'fc7fffffffff00'],
  ['an escape of nothing', t.string, '0103'],
  ['an escape before the end', t.bytes, '6101'],
  ['a string without an end', t.string, '6161'],
  ['a string that is not UTF-8', t.string, '8000'],
  ['a surrogate pair in two halves', t.string, 'eda080edb08000'],
  ['a character in more bytes than it needs', t.string, 'e0808000'],
  ['a boolean that is neither', t.boolean, '02'],
  ['an array without an end', t.array(t.int), '0180'],
  ['an optional that is neither', t.optional(t.int), '0280'],
];

for (const [name, type, hex] of hostile) {
  test(`${name} is not read as a key`, () => {
    assert.throws(() => (type as Type<unknown>).decodeKey(new BinaryReader(Buffer.from(hex, 'hex'))), { code: 'CorruptBytes' });
  });
}

test('a value that is not of its type is refused with its place', () => {
  const type = t.struct({ users: t.array(t.struct({ age: t.int })) }) as Type<unknown>;
  assert.throws(
    () => keyBytes(type, { users: [{ age: 1 }, { age: 'x' }] }),
    /expected int .* at \.users\[1\]\.age, got the string "x"/,
  );
  for (const { type: primitive } of primitiveSamples) {
    assert.throws(() => keyBytes(primitive, null), { code: 'ValueNotOfType' });
  }
});
