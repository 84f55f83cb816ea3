import { assert } from '../../core/assert.ts';
import { JobError } from '../../core/job-error.ts';
import type { StateImplementation } from '../../core/job-graph/executable-job.ts';
import { storedTypeOf } from '../../core/job-graph/stored-type.ts';
import { BinaryReader } from '../../core/types/binary-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import { type Convert, conversionOf, haveSameBytes, type WrittenValues, writtenValues } from '../../core/types/convert-value.ts';
import type { Type, TypeDescriptor } from '../../core/types/type.ts';
import { typeOfDescriptor } from '../../core/types/type-of-descriptor.ts';
import type { StatePart } from './state-part.ts';

/**
 * The types that values of a state have been written with, oldest first. A stored value begins with one byte, the place of its type here. So a job whose struct
 * has changed goes on at once: a value gets its new form when it is next written, and until then is converted when it is read, step by step along the list.
 * Undefined: values have no such byte, because a primitive type hardly ever changes, or because they were written before there was one.
 */
export type ValueForms = readonly TypeDescriptor[] | undefined;

/** What becomes of the values of the operator's states. */
export interface StateForms {
  /** By state name. */
  readonly byName: ReadonlyMap<string, ValueForms>;
  /** States whose values all must be written anew before anybody reads them, by name. */
  readonly rewrites: ReadonlyMap<string, ValueRewrite>;
}

export interface ValueRewrite {
  /** As they are stored. */
  readonly from: Type<unknown>;
  readonly convert: Convert;
  /** As they will be. */
  readonly to: Type<unknown>;
}

/** `base`: what was written. `checkDeclarations` has found that the types fit. */
export function assignForms(states: readonly StateImplementation[], base: StatePart | undefined): StateForms {
  const written = new Map(base?.declarations.states.map((declaration, index) => [declaration.name, { declaration, index }]));
  const byName = new Map<string, ValueForms>();
  const rewrites = new Map<string, ValueRewrite>();
  for (const { declaration, valueType } of states) {
    const now = valueType.descriptor;
    const before = written.get(declaration.name);
    if (before === undefined) {
      byName.set(declaration.name, firstForms(now));
      continue;
    }
    const type = storedTypeOf(before.declaration);
    const forms = base?.valueForms?.[before.index] ?? undefined;
    if (haveSameBytes(type, now)) {
      byName.set(declaration.name, forms);
    } else if (forms !== undefined && hasForm(now) && forms.length < formCountMax) {
      byName.set(declaration.name, [...forms, now]);
    } else {
      const { type: plain, convert } = writtenValues(type, now) as WrittenValues;
      const next = firstForms(now);
      byName.set(declaration.name, next);
      rewrites.set(declaration.name, { from: withForms(plain, forms), convert, to: withForms(valueType, next) });
    }
  }
  return { byName, rewrites };
}

/** All subtasks come to the same forms, because they go on from parts of one checkpoint; rows are brought together without a look at their values. */
export function checkSameForms(parts: readonly StatePart[]): void {
  const textOf = ({ declarations, valueForms }: StatePart): string =>
    JSON.stringify(declarations.states.map(({ name }, index) => [name, valueForms?.[index] ?? null]).sort());
  if (new Set(parts.map(textOf)).size > 1) {
    throw new JobError('the parts of a checkpoint do not agree on how the values of their states are written', {
      domain: 'external',
      retry: 'never',
      code: 'StateCorrupt',
      remedy: 'Start from another checkpoint or a savepoint, with restore.from: Path.',
    });
  }
}

/** The operator's states with types whose values are as the database has them. */
export function statesWithForms(states: readonly StateImplementation[], { byName }: StateForms): readonly StateImplementation[] {
  return states.map((state) => ({ ...state, valueType: withForms(state.valueType, byName.get(state.declaration.name)) }));
}

/** `type`: of the values as they are now, the last form but for names. */
function withForms(type: Type<unknown>, forms: ValueForms): Type<unknown> {
  if (forms === undefined) {
    return type;
  }
  const last = forms.length - 1;
  const older: (WrittenValues | undefined)[] = [];
  const olderForm = (form: number, reader: BinaryReader): WrittenValues => {
    if (form > last) {
      throw reader.corrupt(`a value of form ${form}, of a state that has had ${forms.length} of them, begins`);
    }
    older[form] ??= olderValues(forms, form, type.descriptor);
    return older[form];
  };
  return {
    ...type,
    encode(value, writer) {
      writer.writeByte(last);
      type.encode(value, writer);
    },
    decode(reader) {
      const form = reader.readByte();
      if (form === last) {
        return type.decode(reader);
      }
      const { type: written, convert } = olderForm(form, reader);
      return convert(written.decode(reader));
    },
    skip(reader) {
      const form = reader.readByte();
      (form === last ? type : olderForm(form, reader).type).skip(reader);
    },
  };
}

/** Step by step, because a field that was once removed and added again later has lost its value. */
function olderValues(forms: readonly TypeDescriptor[], form: number, now: TypeDescriptor): WrittenValues {
  const path = [...forms.slice(form), now];
  const steps = path.slice(1).flatMap((to, index) => conversionOf(path[index] as TypeDescriptor, to) ?? []);
  return {
    type: typeOfDescriptor(forms[form] as TypeDescriptor),
    convert: (value) => steps.reduce((converted, step) => step(converted), value),
  };
}

/** Values as others know them: without the byte, in the type of now. */
export class PlainValues {
  readonly #type: Type<unknown>;
  readonly #stored: Type<unknown>;
  readonly #last: number;
  readonly #reader = new BinaryReader(new Uint8Array(0));

  constructor(type: Type<unknown>, forms: readonly TypeDescriptor[]) {
    this.#type = type;
    this.#stored = withForms(type, forms);
    this.#last = forms.length - 1;
  }

  /** Passes over a stored value. */
  skip(reader: BinaryReader): void {
    this.#stored.skip(reader);
  }

  /** Of the bytes of a stored value; a view of them where it can be. */
  read(stored: Uint8Array, writer: BinaryWriter): Uint8Array {
    if (stored[0] === this.#last) {
      return stored.subarray(1);
    }
    this.#reader.reset(stored);
    writer.reset();
    this.#type.encode(this.#stored.decode(this.#reader), writer);
    return writer.toBytes();
  }
}

/** Makes of the bytes of a value, as others know it, those that are stored; undefined: they are the same. Each call may write over what the last one gave. */
export function storedValues(
  written: TypeDescriptor,
  type: Type<unknown>,
  forms: ValueForms,
): ((value: Uint8Array) => Uint8Array) | undefined {
  const other = writtenValues(written, type.descriptor);
  if (other === undefined && forms === undefined) {
    return undefined;
  }
  const stored = withForms(type, forms);
  const reader = new BinaryReader(new Uint8Array(0));
  const writer = new BinaryWriter();
  return (value) => {
    writer.reset();
    if (other !== undefined) {
      reader.reset(value);
      stored.encode(other.convert(other.type.decode(reader)), writer);
    } else {
      writer.writeByte((forms as readonly TypeDescriptor[]).length - 1);
      writer.writeRaw(value);
    }
    return writer.view();
  };
}

/** Of a state that begins now. */
function firstForms(type: TypeDescriptor): ValueForms {
  return hasForm(type) ? [type] : undefined;
}

function hasForm({ type }: TypeDescriptor): boolean {
  return type === 'struct' || type === 'array' || type === 'optional';
}

/** What one byte can say. After that many changes of one type its values are written anew, once. */
const formCountMax = 255;

/** For `StatePart`, in the order of its states. */
export function formsToWrite(
  states: readonly StateImplementation[],
  { byName }: StateForms,
): NonNullable<StatePart['valueForms']> {
  return states.map(({ declaration }) => {
    assert(byName.has(declaration.name), 'every state has its forms, or none by decision');
    return byName.get(declaration.name) ?? null;
  });
}
