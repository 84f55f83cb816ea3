import assert from 'node:assert/strict';
import { test } from 'node:test';
import { t } from '../core/types/t.ts';
import type { Type } from '../core/types/type.ts';
import { fromJson, toJson } from './value-json.ts';

const cyclicNames = { $bigint: '1', plain: 2 };

const cases: readonly (readonly [string, Type<unknown>, unknown, unknown])[] = [
  ['a string', t.string, 'ä\ud800"', 'ä\ud800"'],
  ['an int', t.int, -(2 ** 53 - 1), -(2 ** 53 - 1)],
  ['a double', t.double, 0.1, 0.1],
  ['no number', t.double, Number.NaN, 'NaN'],
  ['infinity', t.double, Number.NEGATIVE_INFINITY, '-Infinity'],
  ['a boolean', t.boolean, false, false],
  ['a bigint', t.bigint, -(2n ** 80n), '-1208925819614629174706176'],
  ['bytes', t.bytes, Uint8Array.of(0, 1, 255), 'AAH/'],
  ['no bytes', t.bytes, new Uint8Array(0), ''],
  ['an absent value', t.optional(t.string), undefined, null],
  ['an array', t.array(t.optional(t.int)), [1, undefined, 3], [1, null, 3]],
  [
    'a struct without a field',
    t.struct({ name: t.string, at: t.optional(t.bigint), more: t.array(t.bytes) }),
    { name: 'x', more: [Uint8Array.of(7)] },
    { name: 'x', more: ['Bw=='] },
  ],
  ['an absent any', t.optional(t.any), undefined, { $undefined: true }],
  ['null in any', t.optional(t.any), null, null],
  [
    'what JSON has no form for',
    t.any,
    {
      date: new Date(12),
      never: new Date(Number.NaN),
      map: new Map<unknown, unknown>([[1n, new Set(['a', undefined])]]),
      bytes: Uint8Array.of(1, 2),
      list: [null, 1.5, Number.POSITIVE_INFINITY],
      nested: { $object: { x: 1 } },
    },
    {
      date: { $date: 12 },
      never: { $date: null },
      map: { $map: [[{ $bigint: '1' }, { $set: ['a', { $undefined: true }] }]] },
      bytes: { $bytes: 'AQI=' },
      list: [null, 1.5, { $double: 'Infinity' }],
      nested: { $object: { $object: { x: 1 } } },
    },
  ],
  ['an object that looks like a mark', t.any, cyclicNames, { $object: cyclicNames }],
];

for (const [what, type, value, json] of cases) {
  test(`${what} goes through JSON and comes back`, () => {
    const text = JSON.stringify(toJson(type.descriptor, value));
    assert.deepEqual(JSON.parse(text), json);
    assert.deepEqual(fromJson(type.descriptor, JSON.parse(text)), value);
  });
}

const refusals: readonly (readonly [Type<unknown>, unknown, RegExp])[] = [
  [t.string, 1, /^the value is 1, and its type is string$/u],
  [t.int, 1.5, /is 1\.5, and its type is int/u],
  [t.bigint, 12, /is 12, and its type is bigint/u],
  [t.bytes, 'no base64!', /is "no base64!", and its type is bytes/u],
  [t.array(t.int), [1, 'x'], /^\[1\] is "x"/u],
  [t.struct({ a: t.int }), {}, /^\.a is missing/u],
  [t.struct({ a: t.int }), { a: 1, b: 2 }, /^\.b is no field of struct/u],
  [t.any, { $nothing: 1 }, /\$nothing is no mark that is known/u],
];

for (const [type, json, message] of refusals) {
  test(`${JSON.stringify(json)} is refused where it should be a ${type.descriptor.type}`, () => {
    assert.throws(() => fromJson(type.descriptor, json), { code: 'JsonNotOfType', message });
  });
}
