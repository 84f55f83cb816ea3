// Covers the codecs of declared types, with values made from seeds, and their descriptors.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobError } from '../job-error.ts';
import { BinaryReader } from './binary-reader.ts';
import { BinaryWriter } from './binary-writer.ts';
import { compileProjection } from './compile-codec.ts';
import { t } from './t.ts';
import type { Type } from './type.ts';
import { descriptorsEqual, formatDescriptor, identifiesByBytes } from './type-descriptor.ts';
import { canonical, createRandom, primitiveSamples, type Random, randomSample, type Sample } from './type-fixtures.ts';

const strings = ['', 'a', 'hello', 'žluťoučký', '😀', '\ud800', 'x'.repeat(50), '__proto__', 'constructor'];
function randomData(random: Random, depth: number): unknown {
  const list = <T>(make: () => T): T[] => Array.from({ length: random(4) }, make);
  const inner = (): unknown => randomData(random, depth - 1);
  switch (random(depth === 0 ? 4 : 10)) {
    case 0:
      return [undefined, null, true, false][random(4)];
    case 4:
      return list(inner);
    case 5:
      return new Map(list(() => [inner(), inner()]));
    case 6:
      return new Set(list(inner));
    case 7:
      return new Date(random(2 ** 31) * 1000);
    case 8:
    case 9:
      return Object.fromEntries(list(() => [strings.filter((name) => name !== '__proto__')[random(8)], inner()]));
    default:
      return canonical((primitiveSamples[random(primitiveSamples.length)] as Sample).value(random));
  }
}

function encode(type: Type<unknown>, value: unknown): Uint8Array {
  const writer = new BinaryWriter();
  type.encode(value, writer);
  return writer.toBytes();
}

function decode(type: Type<unknown>, bytes: Uint8Array): unknown {
  const reader = new BinaryReader(bytes);
  const value = type.decode(reader);
  assert.equal(reader.remaining, 0);
  return value;
}

/** The same value with every object's properties in the opposite order. */
function reverseProperties(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(reverseProperties);
  }
  if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array)) {
    return Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([name, inner]) => [name, reverseProperties(inner)]),
    );
  }
  return value;
}

test('random values of random types are decoded equal, and equal values have equal bytes', () => {
  for (let seed = 1; seed <= 400; seed++) {
    const random = createRandom(seed * 7919);
    const { type, value } = randomSample(random, 3);
    for (let round = 0; round < 5; round++) {
      const original = canonical(value(random));
      const bytes = encode(type, original);
      const about = `seed ${seed}: ${formatDescriptor(type.descriptor)}`;
      assert.deepEqual(decode(type, bytes), original, about);
      assert.deepEqual(encode(type, reverseProperties(original)), bytes, about);
    }
  }
});

test('random data is decoded equal by t.any, with its order kept', () => {
  for (let seed = 1; seed <= 400; seed++) {
    const original = randomData(createRandom(seed * 104729), 4);
    const bytes = encode(t.any, original);
    const decoded = decode(t.any, bytes);
    assert.deepEqual(decoded, original, `seed ${seed}`);
    assert.deepEqual(encode(t.any, decoded), bytes, `seed ${seed}`);
  }
});

test('no prefix of a value is taken for a value', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = createRandom(seed * 31337);
    const { type, value } = seed % 2 === 0 ? randomSample(random, 3) : { type: t.any, value: () => randomData(random, 3) };
    const bytes = encode(type, value(random));
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => decode(type, bytes.subarray(0, length)), JobError);
    }
  }
});

test('skipping a value ends where decoding it ends', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = createRandom(seed * 6700417);
    const { type, value } = seed % 2 === 0 ? randomSample(random, 3) : { type: t.any, value: () => randomData(random, 3) };
    for (let round = 0; round < 5; round++) {
      const bytes = encode(type, value(random));
      const reader = new BinaryReader(bytes);
      type.skip(reader);
      assert.equal(reader.remaining, 0, formatDescriptor(type.descriptor));
      for (let length = 0; length < bytes.length; length++) {
        assert.throws(() => type.skip(new BinaryReader(bytes, 0, length)), { code: 'CorruptBytes' });
      }
    }
  }
});

const visit = t.struct({
  tags: t.array(t.string),
  at: t.optional(t.struct({ x: t.double, place: t.struct({ town: t.string, zip: t.int }) })),
  user: t.string,
  payload: t.any,
});

test('a projection reads one field out of encoded records, one after the other', () => {
  const records = [
    { tags: ['a', 'ž'], at: { x: 1, place: { town: 'Brno', zip: 60200 } }, user: 'u1', payload: { deep: [1, 'x'] } },
    { tags: [], user: 'u2', payload: null },
    { tags: ['b'], at: { x: 2, place: { town: 'Ústí', zip: 40001 } }, user: '', payload: new Map([[1, new Set([2n ** 70n])]]) },
  ];
  const writer = new BinaryWriter();
  for (const record of records) {
    visit.encode(record, writer);
  }
  const read = (path: readonly string[]): unknown[] => {
    const project = compileProjection(visit.descriptor, path);
    const reader = new BinaryReader(writer.view());
    const found = records.map(() => project(reader));
    assert.equal(reader.remaining, 0);
    return found;
  };
  assert.deepEqual(read(['user']), ['u1', 'u2', '']);
  assert.deepEqual(read(['tags']), [['a', 'ž'], [], ['b']]);
  assert.deepEqual(read(['at', 'place', 'town']), ['Brno', undefined, 'Ústí']);
  assert.deepEqual(read(['at', 'place']), [{ town: 'Brno', zip: 60200 }, undefined, { town: 'Ústí', zip: 40001 }]);
  assert.deepEqual(read([]), records);
});

test('a projection to what is no field is refused by name', () => {
  for (const path of [['nobody'], ['user', 'name'], ['at', 'place', 'street'], ['constructor']]) {
    assert.throws(() => compileProjection(visit.descriptor, path), { code: 'TypeInvalid', message: /has no field "/ });
  }
});

test('random bytes are skipped or refused, nothing else', () => {
  const random = createRandom(101);
  for (let round = 0; round < 5000; round++) {
    const bytes = Uint8Array.from({ length: random(30) }, () => (random(2) === 0 ? random(256) : random(14)));
    try {
      t.any.skip(new BinaryReader(bytes));
    } catch (error) {
      assert.ok(error instanceof JobError, String(error));
    }
  }
});

test('fields may have any name, also one that every object has or that is no word', () => {
  const names = [
    'constructor',
    'toString',
    'hasOwnProperty',
    'value',
    'writer',
    'at',
    'f0',
    'a"b',
    "a'b",
    'a\nb',
    '\\',
    '`',
    '\u2028',
    '',
    '0',
    '\ud800',
  ];
  const type = t.struct(Object.fromEntries(names.map((name) => [name, t.optional(t.int)]))) as Type<unknown>;
  const full = Object.fromEntries(names.map((name, index) => [name, index]));
  assert.deepEqual(decode(type, encode(type, full)), full);
  assert.deepEqual(decode(type, encode(type, {})), {});
  assert.deepEqual(decode(type, encode(type, { toString: 1 })), { toString: 1 });
  const required = t.struct({ constructor: t.int }) as Type<unknown>;
  assert.throws(() => encode(required, {}), /expected int .* at \.constructor, got undefined/);
});

test('decoded structs have their properties in the order of ids, whatever is left out', () => {
  const type = t.struct({
    d: t.field(4, t.int),
    a: t.field(1, t.optional(t.int)),
    c: t.field(3, t.optional(t.int)),
    b: t.field(2, t.int),
  });
  for (const record of [
    { d: 4, a: 1, c: 3, b: 2 },
    { d: 4, b: 2 },
    { d: 4, c: 3, b: 2 },
  ]) {
    const decoded = decode(type as Type<unknown>, encode(type as Type<unknown>, record)) as object;
    assert.deepEqual(decoded, record);
    assert.deepEqual(Object.keys(decoded), Object.keys(record).sort());
  }
});

test('twice optional is optional', () => {
  const type = t.optional(t.optional(t.int));
  assert.deepEqual(type.descriptor, t.optional(t.int).descriptor);
  assert.deepEqual([...encode(type as Type<unknown>, undefined)], [0]);
  assert.deepEqual([...encode(type as Type<unknown>, 3)], [1, 6]);
});

test('random bytes are decoded or refused, nothing else', () => {
  const random = createRandom(99);
  for (let round = 0; round < 5000; round++) {
    const bytes = Uint8Array.from({ length: random(30) }, () => (random(2) === 0 ? random(256) : random(14)));
    try {
      t.any.decode(new BinaryReader(bytes));
    } catch (error) {
      assert.ok(error instanceof JobError, String(error));
    }
  }
});

test('-0 becomes 0 and every NaN has the same bytes', () => {
  const otherNaN = new Float64Array(new BigUint64Array([0xfff8000000000001n]).buffer)[0];
  for (const type of [t.int, t.double, t.any] as Type<unknown>[]) {
    assert.deepEqual(encode(type, -0), encode(type, 0));
    assert.ok(Object.is(decode(type, encode(type, -0)), 0));
  }
  for (const type of [t.double, t.any] as Type<unknown>[]) {
    assert.deepEqual(encode(type, otherNaN), encode(type, Number.NaN));
  }
});

test('the bytes of a struct follow the ids of its fields', () => {
  const byOrder = t.struct({ name: t.string, count: t.int });
  assert.deepEqual([...encode(byOrder as Type<unknown>, { count: 3, name: 'a' })], [1, 0x61, 6]);
  const byId = t.struct({ name: t.field(2, t.string), count: t.field(1, t.int) });
  assert.deepEqual([...encode(byId as Type<unknown>, { count: 3, name: 'a' })], [6, 1, 0x61]);
});

test('names of properties are read right however many there are', () => {
  // More than are remembered, many of them alike in length and in some letters, some long, each read twice.
  const names = Array.from({ length: 5000 }, (_, index) => `n${'é'.repeat(index % 30)}${index % 7}${index}`);
  const original = names.map((name, index) => ({ [name]: index, shared: index }));
  const bytes = encode(t.any, original);
  assert.deepEqual(decode(t.any, bytes), original);
  assert.deepEqual(decode(t.any, bytes), original);
});

test('a property named __proto__ stays a property', () => {
  const original: unknown = JSON.parse('{"__proto__":{"admin":true},"a":1}');
  const decoded = decode(t.any, encode(t.any, original));
  assert.deepEqual(Object.keys(decoded as object), ['__proto__', 'a']);
  assert.equal(Object.getPrototypeOf(decoded), Object.prototype);
});

class Visit {
  page = '/';
}

const refusals: readonly [string, unknown, unknown, RegExp][] = [
  ['text for a string', t.string, 5, /expected string, got the number 5/],
  ['a fraction for an int', t.int, 1.5, /expected int .* got the number 1\.5/],
  ['an unsafe int', t.int, 2 ** 53, /expected int/],
  ['a string for a number', t.double, '5', /expected double, got the string "5"/],
  ['a number for a boolean', t.boolean, 1, /expected boolean/],
  ['an array for bytes', t.bytes, [1], /expected bytes .* got an array of 1/],
  ['a number for a bigint', t.bigint, 1, /expected bigint/],
  ['null for an optional', t.optional(t.int), null, /expected int .* got null/],
  ['a hole in an array', t.array(t.int), [1, undefined], /expected int .* at \[1\], got undefined/],
  [
    'a part deep inside',
    t.struct({ users: t.array(t.struct({ age: t.int })) }),
    { users: [{ age: 1 }, { age: 'x' }] },
    /at \.users\[1\]\.age, got the string "x"/,
  ],
  ['a missing field', t.struct({ a: t.int, b: t.int }), { a: 1 }, /at \.b, got undefined/],
  ['a property that is no field', t.struct({ a: t.int }), { a: 1, b: 2 }, /a struct without a field "b"/],
  ['a function', t.any, { run: function start() {} }, /at \.run, got the function start/],
  ['a symbol', t.any, [Symbol('x')], /at \[0\], got a symbol/],
  ['an instance of a class', t.any, { visit: new Visit() }, /at \.visit, got an instance of Visit/],
  ['a promise', t.any, Promise.resolve(1), /got an instance of Promise/],
  ['a value inside a Map', t.any, new Map([['a', () => 1]]), /at \.<value>/],
];

for (const [name, type, value, message] of refusals) {
  test(`${name} is refused with its place`, () => {
    assert.throws(
      () => encode(type as Type<unknown>, value),
      (error) => {
        assert.ok(error instanceof JobError);
        assert.equal(error.code, 'ValueNotOfType');
        assert.equal(error.domain, 'user');
        assert.match(error.message, message);
        return true;
      },
    );
  });
}

test('a value that contains itself is refused instead of exhausting the stack', () => {
  const loop: unknown[] = [];
  loop.push({ loop });
  assert.throws(() => encode(t.any, loop), /nested at most 200 deep/);
});

test('a struct must have fields with ids of their own', () => {
  assert.throws(() => t.struct({}), { code: 'TypeInvalid' });
  assert.throws(() => t.struct({ a: t.field(1, t.int), b: t.int }), { code: 'TypeInvalid' });
  assert.throws(() => t.struct({ a: t.field(1, t.int), b: t.field(1, t.int) }), { code: 'TypeInvalid' });
  assert.throws(() => t.struct({ a: t.field(0, t.int) }), { code: 'TypeInvalid' });
  assert.throws(() => t.struct({ ['__proto__']: t.int }), { code: 'TypeInvalid' });
});

test('descriptors are equal when types, ids and names are', () => {
  const descriptor = t.struct({ a: t.array(t.int), b: t.optional(t.string) }).descriptor;
  const written = JSON.parse(JSON.stringify(descriptor)) as typeof descriptor;
  assert.ok(descriptorsEqual(descriptor, written));
  const others = [
    t.struct({ b: t.array(t.int), a: t.optional(t.string) }),
    t.struct({ a: t.array(t.double), b: t.optional(t.string) }),
    t.struct({ a: t.array(t.int), b: t.string }),
    t.struct({ a: t.array(t.int) }),
    t.struct({ a: t.array(t.int), b: t.optional(t.string), c: t.int }),
    t.struct({ a: t.field(1, t.array(t.int)), b: t.field(3, t.optional(t.string)) }),
    t.array(t.int),
    t.int,
  ];
  for (const other of others) {
    assert.ok(!descriptorsEqual(descriptor, other.descriptor), formatDescriptor(other.descriptor));
    assert.ok(!descriptorsEqual(other.descriptor, descriptor));
  }
  // Written in another order, with the same ids.
  const moved = t.struct({ b: t.field(2, t.optional(t.string)), a: t.field(1, t.array(t.int)) });
  assert.ok(descriptorsEqual(descriptor, moved.descriptor));
  assert.equal(formatDescriptor(descriptor), 'struct{1 a: array<int>, 2 b: optional<string>}');
});

test('types with any inside do not identify keys', () => {
  assert.ok(identifiesByBytes(t.struct({ a: t.array(t.optional(t.bytes)) }).descriptor));
  assert.ok(!identifiesByBytes(t.struct({ a: t.array(t.optional(t.any)) }).descriptor));
});

test('an instance of a class is no struct, also of one with nothing but optional fields', () => {
  const type = t.struct({ a: t.optional(t.int) }) as Type<unknown>;
  for (const value of [new Map([['a', 1]]), new Date(0), Uint8Array.of(1)]) {
    assert.throws(() => encode(type, value), { code: 'ValueNotOfType' }, String(value));
  }
  assert.deepEqual(encode(type, {}), encode(type, { a: undefined }));
});
