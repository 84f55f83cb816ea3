import { unreachable } from '../assert.ts';
import { defaultOf } from './field-default.ts';
import type { StructField, TypeDescriptor } from './type.ts';
import { formatDescriptor } from './type-descriptor.ts';
import { describeValue } from './value-mismatch.ts';

/** What became of a type between a snapshot and the job, for people. */
export interface TypeComparison {
  /** What is carried out, such as `field added: .total (id 3, int, default the number 0)`. */
  readonly changes: readonly string[];
  /** If not empty, values of the old type cannot become values of the new one. */
  readonly problems: readonly TypeProblem[];
}

interface TypeProblem {
  /** Where inside the value, as a program would write it: `.users[].age`; empty for the value itself. */
  readonly path: string;
  /** `was int and is string`. */
  readonly message: string;
  readonly remedy: string;
}

/**
 * Whether values that were written as `before` can be read as `now`. Fields of a struct are the same where their ids are. Allowed, at any depth:
 *
 * - a field is added, optional or with a default; a field is removed; a field is renamed and keeps its id, if the author gives ids;
 * - `int` becomes `double` or `bigint`, a type becomes optional, and everything becomes `any`: nothing is lost by these;
 * - a field with a default is no longer optional: where it was absent it has the default.
 */
export function compareTypes(before: TypeDescriptor, now: TypeDescriptor): TypeComparison {
  const found: Found = { changes: [], problems: [] };
  compare(before, now, '', found);
  return found;
}

interface Found {
  readonly changes: string[];
  readonly problems: TypeProblem[];
}

function compare(before: TypeDescriptor, now: TypeDescriptor, path: string, found: Found): void {
  if (now.type === 'any') {
    if (before.type !== 'any') {
      found.changes.push(`widened: ${place(path)} from ${formatDescriptor(before)} to any`);
    }
    return;
  }
  if (now.type === 'optional') {
    if (before.type !== 'optional') {
      found.changes.push(`made optional: ${place(path)}`);
    }
    compare(before.type === 'optional' ? before.of : before, now.of, path, found);
    return;
  }
  switch (before.type) {
    case 'struct':
      if (now.type === 'struct') {
        compareStructs(before, now, path, found);
        return;
      }
      break;
    case 'array':
      if (now.type === 'array') {
        compare(before.element, now.element, `${path}[]`, found);
        return;
      }
      break;
    case 'int':
      if (now.type === 'double' || now.type === 'bigint') {
        found.changes.push(`widened: ${place(path)} from int to ${now.type}`);
        return;
      }
      break;
    case 'string':
    case 'double':
    case 'boolean':
    case 'bytes':
    case 'bigint':
    case 'any':
    case 'optional':
      break;
    default:
      unreachable(before);
  }
  if (before.type !== now.type) {
    found.problems.push({ path, message: wasAndIs(before, now), remedy: remedyOf(before, now, path) });
  }
}

type Struct = Extract<TypeDescriptor, { type: 'struct' }>;

function compareStructs(before: Struct, now: Struct, path: string, found: Found): void {
  const byId = new Map(before.fields.map((field) => [field.id, field]));
  for (const field of now.fields) {
    const old = byId.get(field.id);
    const fieldPath = `${path}.${field.name}`;
    const moved = movedName(before, now, field);
    if (moved !== undefined) {
      found.problems.push({ path: fieldPath, ...moved });
    } else if (old === undefined) {
      addField(field, fieldPath, found);
    } else {
      if (old.name !== field.name) {
        found.changes.push(`field renamed: ${path}.${old.name} to ${fieldPath} (id ${field.id})`);
      }
      compareField(old, field, fieldPath, found);
    }
  }
  const kept = new Set(now.fields.map(({ id }) => id));
  for (const { id, name, type } of before.fields) {
    if (!kept.has(id)) {
      found.changes.push(`field removed: ${path}.${name} (id ${id}, ${formatDescriptor(type)})`);
    }
  }
}

/**
 * Ids that nobody gave are places in the declaration: whoever puts a field between two others gives all that follow new ids. So a name whose id changes, or an
 * id whose name changes, is believed only of those who give ids.
 */
function movedName(before: Struct, now: Struct, field: StructField): { message: string; remedy: string } | undefined {
  const sameName = before.fields.find(({ name }) => name === field.name);
  const sameId = before.fields.find(({ id }) => id === field.id);
  if (sameName !== undefined && sameName.id !== field.id && !(before.idsGiven === true && now.idsGiven === true)) {
    return {
      message: `had the id ${sameName.id} and has the id ${field.id}`,
      remedy: `Keep the ids of fields: declare '${field.name}' with t.field(${sameName.id}, …), and give a new field an id that was never used.`,
    };
  }
  if (sameId !== undefined && sameName === undefined && now.idsGiven !== true) {
    return {
      message: `has the place of the field '${sameId.name}' (id ${sameId.id}), and it cannot be told whether it is the same under another name`,
      remedy: `Give all fields of the struct their ids with t.field: '${field.name}' the id ${sameId.id} if it is the field that was '${sameId.name}', a new id if it is another.`,
    };
  }
  return undefined;
}

function addField(field: StructField, path: string, found: Found): void {
  const isLeftOut = field.type.type === 'optional' || field.type.type === 'any';
  const text = `${path} (id ${field.id}, ${formatDescriptor(field.type)}`;
  if (field.defaultHex !== undefined) {
    found.changes.push(`field added: ${text}, default ${describeValue(defaultOf(field)())})`);
  } else if (isLeftOut) {
    found.changes.push(`field added: ${text})`);
  } else {
    found.problems.push({
      path,
      message: `is new, and values that are stored have no ${formatDescriptor(field.type)} for it`,
      remedy: `Declare what stored values have there, t.field(${field.id}, …, { default: … }), or make it t.optional(…).`,
    });
  }
}

function compareField(old: StructField, field: StructField, path: string, found: Found): void {
  if (
    old.type.type === 'optional' &&
    field.type.type !== 'optional' &&
    field.type.type !== 'any' &&
    field.defaultHex !== undefined
  ) {
    found.changes.push(`no longer optional: ${path}, default ${describeValue(defaultOf(field)())}`);
    compare(old.type.of, field.type, path, found);
    return;
  }
  compare(old.type, field.type, path, found);
}

function wasAndIs(before: TypeDescriptor, now: TypeDescriptor): string {
  return `was ${formatDescriptor(before)} and is ${formatDescriptor(now)}`;
}

function remedyOf(before: TypeDescriptor, now: TypeDescriptor, path: string): string {
  if (before.type === 'optional') {
    return path === '' || path.endsWith('[]')
      ? 'Keep it optional.'
      : 'Keep it optional, or declare what values without it have: t.field(id, …, { default: … }).';
  }
  return path === ''
    ? `Keep the type ${formatDescriptor(before)}, or keep the new values in a state of another name.`
    : `Keep the type ${formatDescriptor(before)} under this id, and put the ${formatDescriptor(now)} into a field with an id that was never used.`;
}

function place(path: string): string {
  return path === '' ? 'the value' : path;
}
