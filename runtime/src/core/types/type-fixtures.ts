import { t } from './t.ts';
import type { Type } from './type.ts';

/** Types and values made from seeds, for tests of codecs. */
export type Random = (limit: number) => number;

export function createRandom(seed: number): Random {
  let state = seed | 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.floor(((state >>> 0) / 2 ** 32) * limit);
  };
}

/** A type together with values of it: often near each other, and at the limits of their forms. */
export interface Sample {
  readonly type: Type<unknown>;
  readonly value: (random: Random) => unknown;
}

const characters = [
  'a',
  'b',
  '\0',
  '\u0001',
  '\u0002',
  '\u007f',
  '\u0080',
  'é',
  '\ud7ff',
  '\ue000',
  '\uffff',
  '😀',
  '\ud800',
  '\udfff',
];
const wholeStrings = ['', 'hello', 'žluťoučký', 'x'.repeat(50), '__proto__', 'constructor', `${'y'.repeat(39)}\0`];
const doubles = [0, -0, 1, -1, 1.5, -1e300, 1e300, Number.MIN_VALUE, -Number.MIN_VALUE, Infinity, -Infinity, Number.NaN];
const bytesOfInterest = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff];

function randomString(random: Random): string {
  if (random(4) === 0) {
    return wholeStrings[random(wholeStrings.length)] ?? '';
  }
  return Array.from({ length: random(5) }, () => characters[random(characters.length)]).join('');
}

/** Near a power of two or a border of the key encoding, small, or any. */
function randomInt(random: Random): number {
  const sign = random(2) === 0 ? -1 : 1;
  const near = [0, 112, 2160, 2 ** random(54)][random(4)] ?? 0;
  const magnitude = random(3) === 0 ? random(2 ** 32) * random(2 ** 21) : Math.abs(near + random(5) - 2);
  return sign * Math.min(magnitude, Number.MAX_SAFE_INTEGER);
}

export const primitiveSamples: readonly Sample[] = [
  { type: t.string, value: randomString },
  { type: t.int, value: randomInt },
  { type: t.double, value: (random) => (random(2) === 0 ? doubles[random(doubles.length)] : (random(2 ** 32) - 2 ** 31) / 1024) },
  { type: t.boolean, value: (random) => random(2) === 0 },
  {
    type: t.bytes,
    value: (random) => Uint8Array.from({ length: random(6) }, () => bytesOfInterest[random(bytesOfInterest.length)] ?? 0),
  },
  {
    type: t.bigint,
    value: (random) =>
      (256n ** BigInt(random(random(10) === 0 ? 200 : 4)) + BigInt(random(5) - 2)) * (random(2) === 0 ? 1n : -1n),
  },
];

/** Of any declared type, nested up to `depth`. */
export function randomSample(random: Random, depth: number): Sample {
  const choice = depth === 0 ? 0 : random(5);
  if (choice === 1) {
    const element = randomSample(random, depth - 1);
    return { type: t.array(element.type), value: (source) => Array.from({ length: source(4) }, () => element.value(source)) };
  }
  if (choice === 2) {
    const of = randomSample(random, depth - 1);
    return { type: t.optional(of.type), value: (source) => (source(2) === 0 ? undefined : of.value(source)) };
  }
  if (choice >= 3) {
    return randomStruct(random, depth);
  }
  return primitiveSamples[random(primitiveSamples.length)] as Sample;
}

function randomStruct(random: Random, depth: number): Sample {
  const fields = Array.from({ length: 1 + random(4) }, (_, index) => ({
    name: `f${index}`,
    sample: randomSample(random, depth - 1),
  }));
  const ids = fields.map((_, index) => index + 1).sort(() => random(3) - 1);
  const type = t.struct(
    Object.fromEntries(fields.map(({ name, sample }, index) => [name, t.field(ids[index] ?? 0, sample.type)])),
  );
  const value = (source: Random): Record<string, unknown> => {
    const record: Record<string, unknown> = {};
    for (const { name, sample } of fields) {
      const fieldValue = sample.value(source);
      // An absent field is what an undefined one becomes.
      if (fieldValue !== undefined) {
        record[name] = fieldValue;
      }
    }
    return record;
  };
  return { type, value };
}

/** What a value is after it was written and read: -0 is 0. */
export function canonical(value: unknown): unknown {
  if (Object.is(value, -0)) {
    return 0;
  }
  if (Array.isArray(value)) {
    return value.map(canonical);
  }
  if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array)) {
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, canonical(part)]));
  }
  return value;
}
