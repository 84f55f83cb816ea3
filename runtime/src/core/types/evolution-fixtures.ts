import { t } from './t.ts';
import type { Type } from './type.ts';
import { primitiveSamples, type Random, type Sample } from './type-fixtures.ts';

/**
 * Types that change from one version of a job to the next, for tests. Each change says itself what becomes of a value: the model that the real
 * conversion is compared with knows nothing of descriptors.
 */
export type Shape =
  | { readonly kind: 'leaf'; readonly sample: Sample }
  | { readonly kind: 'bigint' }
  | { readonly kind: 'optional' | 'array'; readonly of: Shape }
  | { readonly kind: 'struct'; readonly fields: readonly ShapeField[]; readonly nextId: number };

interface ShapeField {
  readonly id: number;
  readonly name: string;
  readonly of: Shape;
  readonly default?: unknown;
}

interface Evolved {
  readonly shape: Shape;
  readonly migrate: (value: unknown) => unknown;
}

function randomShape(random: Random, depth: number): Shape {
  const choice = depth === 0 ? 0 : random(5);
  if (choice === 1) {
    return { kind: 'array', of: randomShape(random, depth - 1) };
  }
  if (choice === 2) {
    return { kind: 'optional', of: unwrap(randomShape(random, depth - 1)) };
  }
  return choice >= 3 ? randomStructShape(random, depth) : randomLeaf(random);
}

export function randomStructShape(random: Random, depth: number): Shape {
  const count = 1 + random(4);
  const fields = Array.from({ length: count }, (_, index) => ({
    id: index + 1,
    name: `f${index + 1}`,
    of: randomShape(random, depth - 1),
  }));
  return { kind: 'struct', fields, nextId: count + 1 };
}

export function toType(shape: Shape): Type<unknown> {
  switch (shape.kind) {
    case 'leaf':
      return shape.sample.type;
    case 'bigint':
      return t.bigint as Type<unknown>;
    case 'array':
      return t.array(toType(shape.of)) as Type<unknown>;
    case 'optional':
      return t.optional(toType(shape.of));
    default:
      return t.struct(
        Object.fromEntries(
          // The order of declaration means nothing.
          shape.fields
            .toReversed()
            .map(({ id, name, of, default: value }) => [
              name,
              t.field(id, toType(of), value === undefined ? {} : { default: value }),
            ]),
        ),
      ) as Type<unknown>;
  }
}

export function randomValue(random: Random, shape: Shape): unknown {
  switch (shape.kind) {
    case 'leaf':
      return shape.sample.value(random);
    case 'bigint':
      return BigInt(random(1000)) - 500n;
    case 'array':
      return Array.from({ length: random(4) }, () => randomValue(random, shape.of));
    case 'optional':
      return random(2) === 0 ? undefined : randomValue(random, shape.of);
    default:
      return record(shape.fields.map(({ name, of }) => [name, randomValue(random, of)]));
  }
}

/** One allowed change, somewhere in it; of a leaf maybe none. */
export function evolve(random: Random, shape: Shape): Evolved {
  switch (shape.kind) {
    case 'leaf':
      return evolveLeaf(random, shape);
    case 'bigint':
      return { shape, migrate: same };
    case 'array': {
      const { shape: of, migrate } = evolve(random, shape.of);
      return {
        shape: { kind: 'array', of },
        migrate: (value) => (value as readonly unknown[]).map((each) => keep(each, migrate)),
      };
    }
    case 'optional': {
      const { shape: of, migrate } = evolve(random, shape.of);
      return { shape: { kind: 'optional', of: unwrap(of) }, migrate: (value) => keep(value, migrate) };
    }
    default:
      return evolveStruct(random, shape);
  }
}

function evolveLeaf(random: Random, shape: Extract<Shape, { kind: 'leaf' }>): Evolved {
  const isInt = shape.sample.type.descriptor.type === 'int';
  switch (random(isInt ? 4 : 2)) {
    case 0:
      return { shape: { kind: 'optional', of: shape }, migrate: same };
    case 1:
      return { shape, migrate: same };
    case 2:
      return { shape: { kind: 'leaf', sample: doubles }, migrate: same };
    default:
      return { shape: { kind: 'bigint' }, migrate: (value) => BigInt(value as number) };
  }
}

function evolveStruct(random: Random, shape: Extract<Shape, { kind: 'struct' }>): Evolved {
  const { fields, nextId } = shape;
  const at = random(fields.length);
  const field = fields[at] as ShapeField;
  const others = fields.filter((each) => each !== field);
  switch (random(fields.length > 1 ? 6 : 5)) {
    case 0: {
      const added = { id: nextId, name: `f${nextId}`, of: { kind: 'optional', of: unwrap(randomShape(random, 1)) } as const };
      return { shape: { kind: 'struct', fields: [...fields, added], nextId: nextId + 1 }, migrate: same };
    }
    case 1: {
      const of = unwrap(randomShape(random, 1));
      const value = randomValue(random, of);
      const added = { id: nextId, name: `f${nextId}`, of, default: value };
      return {
        shape: { kind: 'struct', fields: [...fields, added], nextId: nextId + 1 },
        migrate: (old) => ({ ...(old as object), [added.name]: value }),
      };
    }
    case 2: {
      const renamed = { ...field, name: `f${field.id}r${random(1000)}` };
      return {
        shape: { ...shape, fields: [...others, renamed].sort((a, b) => a.id - b.id) },
        migrate: (old) => {
          const { [field.name]: value, ...rest } = old as Record<string, unknown>;
          return record([...Object.entries(rest), [renamed.name, value]]);
        },
      };
    }
    case 3:
    case 4: {
      const { shape: of, migrate } = evolve(random, field.of);
      return {
        shape: {
          ...shape,
          fields: [...others, { ...field, of, default: keep(field.default, migrate) }].sort((a, b) => a.id - b.id),
        },
        migrate: (old) => {
          const value = (old as Record<string, unknown>)[field.name];
          return record([...Object.entries(old as object), [field.name, keep(value, migrate)]]);
        },
      };
    }
    default:
      return {
        shape: { ...shape, fields: others },
        migrate: (old) => record(Object.entries(old as object).filter(([name]) => name !== field.name)),
      };
  }
}

function randomLeaf(random: Random): Shape {
  return { kind: 'leaf', sample: primitiveSamples[random(primitiveSamples.length)] as Sample };
}

const doubles = primitiveSamples.find(({ type }) => type.descriptor.type === 'double') as Sample;

/** Twice optional is optional. */
function unwrap(shape: Shape): Shape {
  return shape.kind === 'optional' ? shape.of : shape;
}

function keep(value: unknown, migrate: (value: unknown) => unknown): unknown {
  return value === undefined ? undefined : migrate(value);
}

/** An absent field is what an undefined one becomes. */
function record(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

function same(value: unknown): unknown {
  return value;
}
