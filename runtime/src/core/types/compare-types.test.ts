// What of a changed type is allowed, said and carried out. What backends do with it is in state-backend/conformance-evolution.ts.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BinaryReader } from './binary-reader.ts';
import { BinaryWriter } from './binary-writer.ts';
import { compareTypes } from './compare-types.ts';
import { conversionOf, haveSameBytes, writtenValues } from './convert-value.ts';
import { evolve, randomStructShape, randomValue, toType } from './evolution-fixtures.ts';
import { t } from './t.ts';
import type { Type } from './type.ts';
import { canonical, createRandom } from './type-fixtures.ts';

function compared(before: Type<never> | Type<unknown>, now: Type<never> | Type<unknown>) {
  return compareTypes(before.descriptor, now.descriptor);
}

function carriedOut(before: Type<unknown>, now: Type<unknown>, value: unknown): unknown {
  const writer = new BinaryWriter();
  before.encode(value, writer);
  const written = writtenValues(before.descriptor, now.descriptor);
  const reader = new BinaryReader(writer.view());
  return written === undefined ? now.decode(reader) : written.convert(written.type.decode(reader));
}

const v1 = t.struct({ name: t.field(1, t.string), visits: t.field(2, t.int) });

describe('an allowed change', () => {
  const cases: readonly (readonly [string, Type<unknown>, readonly string[], unknown])[] = [
    [
      'of order alone is none',
      t.struct({ visits: t.field(2, t.int), name: t.field(1, t.string) }) as Type<unknown>,
      [],
      { name: 'a', visits: 7 },
    ],
    [
      'adds an optional field',
      t.struct({
        name: t.field(1, t.string),
        visits: t.field(2, t.int),
        city: t.field(3, t.optional(t.string)),
      }) as Type<unknown>,
      ['field added: .city (id 3, optional<string>)'],
      { name: 'a', visits: 7 },
    ],
    [
      'adds a field with a default',
      t.struct({
        name: t.field(1, t.string),
        visits: t.field(2, t.int),
        tags: t.field(3, t.array(t.string), { default: ['new'] }),
      }) as Type<unknown>,
      ['field added: .tags (id 3, array<string>, default an array of 1)'],
      { name: 'a', visits: 7, tags: ['new'] },
    ],
    [
      'removes a field',
      t.struct({ name: t.field(1, t.string) }) as Type<unknown>,
      ['field removed: .visits (id 2, int)'],
      { name: 'a' },
    ],
    [
      'renames a field',
      t.struct({ title: t.field(1, t.string), visits: t.field(2, t.int) }) as Type<unknown>,
      ['field renamed: .name to .title (id 1)'],
      { title: 'a', visits: 7 },
    ],
    [
      'swaps names of fields whose ids were given',
      t.struct({ visits: t.field(1, t.string), name: t.field(2, t.int) }) as Type<unknown>,
      ['field renamed: .name to .visits (id 1)', 'field renamed: .visits to .name (id 2)'],
      { visits: 'a', name: 7 },
    ],
    [
      'widens an int to a bigint',
      t.struct({ name: t.field(1, t.string), visits: t.field(2, t.bigint) }) as Type<unknown>,
      ['widened: .visits from int to bigint'],
      { name: 'a', visits: 7n },
    ],
    [
      'widens an int to an optional double',
      t.struct({ name: t.field(1, t.string), visits: t.field(2, t.optional(t.double)) }) as Type<unknown>,
      ['made optional: .visits', 'widened: .visits from int to double'],
      { name: 'a', visits: 7 },
    ],
    [
      'makes everything any',
      t.any,
      ['widened: the value from struct{1 name: string, 2 visits: int} to any'],
      { name: 'a', visits: 7 },
    ],
    [
      'gives a name to a new field under a new id',
      t.struct({ name: t.field(1, t.string), visits: t.field(3, t.optional(t.string)) }) as Type<unknown>,
      ['field added: .visits (id 3, optional<string>)', 'field removed: .visits (id 2, int)'],
      { name: 'a' },
    ],
  ];
  for (const [what, now, changes, value] of cases) {
    test(what, () => {
      assert.deepEqual(compared(v1, now), { changes, problems: [] });
      assert.deepEqual(carriedOut(v1 as Type<unknown>, now, { name: 'a', visits: 7 }), value);
    });
  }

  test('of a field that is no longer optional gives the default where it was absent', () => {
    const before = t.struct({ a: t.field(1, t.int), b: t.field(2, t.optional(t.int)) });
    const now = t.struct({ a: t.field(1, t.int), b: t.field(2, t.double, { default: 5 }) });
    assert.deepEqual(compared(before, now), {
      changes: ['no longer optional: .b, default the number 5', 'widened: .b from int to double'],
      problems: [],
    });
    assert.deepEqual(carriedOut(before as Type<unknown>, now as Type<unknown>, { a: 1 }), { a: 1, b: 5 });
    assert.deepEqual(carriedOut(before as Type<unknown>, now as Type<unknown>, { a: 1, b: 2 }), { a: 1, b: 2 });
  });

  test('adds or removes fields at the end of a struct whose fields are numbered by their order', () => {
    const short = t.struct({ a: t.int });
    const long = t.struct({ a: t.int, b: t.optional(t.int) });
    assert.deepEqual(compared(short, long).problems, []);
    assert.deepEqual(compared(long, short).problems, []);
  });

  test('gives ids to fields that were numbered by their order', () => {
    const before = t.struct({ a: t.int, b: t.int });
    assert.deepEqual(compared(before, t.struct({ b: t.field(2, t.int), a: t.field(1, t.int) })), { changes: [], problems: [] });
  });

  test('gives each value a default of its own', () => {
    const before = t.struct({ a: t.field(1, t.int) });
    const now = t.struct({ a: t.field(1, t.int), b: t.field(2, t.array(t.int), { default: [1] }) });
    const [first, second] = [1, 2].map(
      (a) => carriedOut(before as Type<unknown>, now as Type<unknown>, { a }) as { b: number[] },
    );
    first?.b.push(2);
    assert.deepEqual(second?.b, [1]);
  });
});

describe('a refused change', () => {
  const cases: readonly (readonly [string, Type<unknown>, Type<unknown>, string, RegExp, RegExp])[] = [
    [
      'of a primitive type',
      t.int as Type<unknown>,
      t.string as Type<unknown>,
      '',
      /was int and is string/,
      /state of another name/,
    ],
    ['that narrows', t.double as Type<unknown>, t.int as Type<unknown>, '', /was double and is int/, /Keep the type double/],
    [
      'deep inside',
      t.array(t.struct({ users: t.array(t.struct({ age: t.int })) })) as Type<unknown>,
      t.array(t.struct({ users: t.array(t.struct({ age: t.string })) })) as Type<unknown>,
      '[].users[].age',
      /was int and is string/,
      /id that was never used/,
    ],
    [
      'adds a field without a default',
      v1 as Type<unknown>,
      t.struct({ name: t.field(1, t.string), visits: t.field(2, t.int), city: t.field(3, t.string) }) as Type<unknown>,
      '.city',
      /is new/,
      /t\.field\(3, …, \{ default: … \}\)/,
    ],
    [
      'requires what was optional',
      t.struct({ a: t.optional(t.int) }) as Type<unknown>,
      t.struct({ a: t.int }) as Type<unknown>,
      '.a',
      /was optional<int> and is int/,
      /default/,
    ],
    [
      'puts a field between two that are numbered by their order',
      t.struct({ a: t.int, b: t.int }) as Type<unknown>,
      t.struct({ a: t.int, x: t.optional(t.int), b: t.int }) as Type<unknown>,
      '.x',
      /place of the field 'b'/,
      /t\.field/,
    ],
    [
      'swaps fields that are numbered by their order',
      t.struct({ a: t.int, b: t.int }) as Type<unknown>,
      t.struct({ b: t.int, a: t.int }) as Type<unknown>,
      '.b',
      /had the id 2 and has the id 1/,
      /t\.field\(2/,
    ],
    [
      'gives swapped ids to fields that were numbered by their order',
      t.struct({ a: t.int, b: t.int }) as Type<unknown>,
      t.struct({ b: t.field(1, t.int), a: t.field(2, t.int) }) as Type<unknown>,
      '.a',
      /had the id 1 and has the id 2/,
      /t\.field\(1/,
    ],
  ];
  for (const [what, before, now, path, message, remedy] of cases) {
    test(`${what} says where, what it was and is, and what to do`, () => {
      const problem = compared(before, now).problems.find((each) => each.path === path);
      assert.match(problem?.message ?? '', message);
      assert.match(problem?.remedy ?? '', remedy);
    });
  }

  test('a default that is not of its field is refused where it is declared', () => {
    // @ts-expect-error a string is no int
    assert.throws(() => t.field(1, t.int, { default: 'no' }), { code: 'ValueNotOfType' });
  });
});

test('random chains of allowed changes give what each change says, step by step', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = createRandom(seed * 7919);
    let shape = randomStructShape(random, 3);
    let type = toType(shape);
    let values = Array.from({ length: 5 }, () => canonical(randomValue(random, shape)));
    for (let step = 0; step < 6; step++) {
      const { shape: nextShape, migrate } = evolve(random, shape);
      const next = toType(nextShape);
      assert.deepEqual(compared(type, next).problems, [], `seed ${seed}, step ${step}`);
      if (haveSameBytes(type.descriptor, next.descriptor)) {
        // By renaming alone; values that are already decoded are renamed too.
        const rename = conversionOf(type.descriptor, next.descriptor) ?? ((value: unknown) => value);
        assert.deepEqual(values.map(rename), values.map(migrate), `seed ${seed}, step ${step}`);
      }
      const expected = values.map((value) => canonical(migrate(value)));
      assert.deepEqual(
        values.map((value) => canonical(carriedOut(type, next, value))),
        expected,
        `seed ${seed}, step ${step}`,
      );
      [shape, type, values] = [nextShape, next, expected];
    }
  }
});
