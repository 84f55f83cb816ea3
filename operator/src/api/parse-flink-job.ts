import { z } from 'zod';
import { FlinkJobManifest } from './flink-job.ts';
import { FlinkJobSpec } from './flink-job-spec.ts';
import type { FlinkJobStatus, Problem } from './flink-job-status.ts';
import { nearestName } from './nearest-name.ts';
import { notYetAvailable } from './not-yet-available.ts';
import { stringFormOf } from './string-forms.ts';
import { withoutSecrets } from './url-without-user-info.ts';

/** Each problem says where, what was expected, what was found and what to do. */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problems: readonly Problem[] };

/** Checks a whole FlinkJob as a person wrote it (already read from YAML or JSON) and fills in defaults. */
export function parseFlinkJob(input: unknown): Parsed<FlinkJobManifest> {
  return parse(FlinkJobManifest, manifestShape, input, []);
}

/** An object that was read is never written to, and is asked about in every pass over its job: to check it once is enough. */
const parsedSpecs = new WeakMap<object, Parsed<FlinkJobSpec>>();

/** Checks the spec of a resource that comes from a store. */
export function parseFlinkJobSpec(input: unknown): Parsed<FlinkJobSpec> {
  if (typeof input !== 'object' || input === null) {
    return parse(FlinkJobSpec, specShape, input, ['spec']);
  }
  const known = parsedSpecs.get(input);
  const parsed = known ?? parse(FlinkJobSpec, specShape, input, ['spec']);
  parsedSpecs.set(input, parsed);
  return parsed;
}

/** Whether deleting it deletes its state. A spec that cannot be read asks for nothing. */
export function asksForPurge(spec: unknown): boolean {
  const parsed = parseFlinkJobSpec(spec);
  return parsed.ok && parsed.value.checkpoints.onDelete === 'Purge';
}

/** Where a job has its state since it was started last, and else will have it; undefined where it was never started and its spec is not valid. */
export function checkpointStorageOf({
  spec,
  status,
}: {
  readonly spec: unknown;
  readonly status?: FlinkJobStatus | undefined;
}): string | undefined {
  const parsed = parseFlinkJobSpec(spec);
  return status?.attempt?.checkpointStorage ?? (parsed.ok ? parsed.value.state.checkpointStorage : undefined);
}

/** The part of JSON Schema that messages are made from. */
interface Shape {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly additionalProperties?: Shape | boolean;
  readonly items?: Shape;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly default?: unknown;
}

const manifestShape = z.toJSONSchema(FlinkJobManifest, { io: 'input', target: 'openapi-3.0' }) as Shape;
const specShape = z.toJSONSchema(FlinkJobSpec, { io: 'input', target: 'openapi-3.0' }) as Shape;

function parse<T>(schema: z.ZodType<T>, shape: Shape, input: unknown, prefix: readonly string[]): Parsed<T> {
  const result = schema.safeParse(input);
  if (result.success) {
    return { ok: true, value: result.data };
  }
  const problems = result.error.issues.flatMap((issue) => describeIssue({ issue, input, shape, prefix }));
  // A value may break several rules that are said in the same words.
  return { ok: false, problems: [...new Map(problems.map((problem) => [problem.message, problem])).values()] };
}

function describeIssue(context: {
  readonly issue: z.core.$ZodIssue;
  readonly input: unknown;
  readonly shape: Shape;
  readonly prefix: readonly string[];
}): readonly Problem[] {
  const { issue, shape, prefix } = context;
  const path = issue.path.map(String);
  const where = formatPath([...prefix, ...path]) || 'the resource';
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => unknownField(key, path, shape, prefix));
  }
  const input = valueAt(context.input, path);
  const notYet = notYetAvailable(where, input);
  if (notYet !== undefined) {
    return [notYet];
  }
  const at = shapeAt(shape, path);
  const custom = issue.code === 'custom' ? issue.params : undefined;
  const expected = typeof custom?.['expected'] === 'string' ? custom['expected'] : describeExpected(at, input);
  const remedy = typeof custom?.['remedy'] === 'string' ? custom['remedy'] : remedyFor({ where, at, input });
  const missing = input === undefined || input === null;
  const found = missing ? 'nothing' : shorten(withoutSecrets(JSON.stringify(input)));
  return [{ code: missing ? 'MissingField' : 'InvalidField', message: `${where}: expected ${expected}, got ${found}`, remedy }];
}

function valueAt(input: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (at, name) => (typeof at === 'object' && at !== null ? (at as Readonly<Record<string, unknown>>)[name] : undefined),
    input,
  );
}

function unknownField(key: string, parent: readonly string[], shape: Shape, prefix: readonly string[]): Problem {
  const where = formatPath([...prefix, ...parent, key]);
  const siblings = Object.keys(shapeAt(shape, parent)?.properties ?? {});
  const near = nearestName(key, siblings);
  const suggestion =
    near === undefined
      ? findElsewhere(key, shape, []).map((path) => formatPath([...prefix, ...path]))[0]
      : formatPath([...prefix, ...parent, near]);
  if (suggestion !== undefined) {
    return { code: 'UnknownField', message: `${where}: unknown field`, remedy: `Did you mean ${suggestion}?` };
  }
  const known = siblings.length === 0 ? 'It has no fields.' : `Known here: ${siblings.join(', ')}.`;
  return { code: 'UnknownField', message: `${where}: unknown field`, remedy: `Remove it. ${known}` };
}

/** Paths of fields with this very name anywhere else: a field that was put at the wrong depth. */
function findElsewhere(key: string, shape: Shape, path: readonly string[]): readonly (readonly string[])[] {
  return Object.entries(shape.properties ?? {}).flatMap(([name, child]) => [
    ...(name === key ? [[...path, name]] : []),
    ...findElsewhere(key, child, [...path, name]),
  ]);
}

function shapeAt(shape: Shape, path: readonly string[]): Shape | undefined {
  let at: Shape | undefined = shape;
  for (const name of path) {
    const additional: Shape | boolean | undefined = at?.additionalProperties;
    at = at?.properties?.[name] ?? at?.items ?? (typeof additional === 'object' ? additional : undefined);
  }
  return at;
}

function describeExpected(shape: Shape | undefined, input: unknown): string {
  if (shape?.enum !== undefined) {
    return shape.enum.length === 1 ? String(shape.enum[0]) : `one of ${shape.enum.join(', ')}`;
  }
  switch (shape?.type) {
    case 'integer':
      return `an integer from ${shape.minimum} to ${shape.maximum}`;
    case 'number':
      return `a number from ${shape.minimum} to ${shape.maximum}`;
    case 'string':
      if (shape.pattern !== undefined) {
        return stringFormOf(shape.pattern)?.meaning ?? `a string that matches ${shape.pattern}`;
      }
      return describeLength(shape, input);
    case 'array':
      return 'a list';
    case 'object':
      return 'a map of fields';
    default:
      return 'something else';
  }
}

function describeLength({ minLength, maxLength }: Shape, input: unknown): string {
  if (maxLength !== undefined && typeof input === 'string' && input.length > maxLength) {
    return `at most ${maxLength} characters`;
  }
  return minLength === undefined ? 'a string' : 'a non-empty string';
}

function remedyFor(options: { readonly where: string; readonly at: Shape | undefined; readonly input: unknown }): string {
  const { where, at, input } = options;
  const name = where.split('.').at(-1) ?? where;
  if (at?.type === 'string' && at.enum === undefined && (typeof input === 'number' || typeof input === 'boolean')) {
    return name.endsWith(']') ? `Put it in quotes: "${input}".` : `Put it in quotes: ${name}: "${input}".`;
  }
  if (at?.enum !== undefined && typeof input === 'string') {
    const near = nearestName(input, at.enum.map(String));
    if (near !== undefined) {
      return `Did you mean ${near}?`;
    }
  }
  if ((at?.type === 'integer' || at?.type === 'number') && typeof input === 'string' && /^[\d.]+$/.test(input)) {
    return `Remove the quotes: ${name}: ${input}.`;
  }
  if (input === undefined || input === null) {
    return `Add ${where}.`;
  }
  return at?.default === undefined || typeof at.default === 'object'
    ? `Correct ${where}.`
    : `Correct it, or remove the line to get the default ${at.default}.`;
}

function formatPath(path: readonly string[]): string {
  return path.reduce((text, name) => (/^\d+$/.test(name) ? `${text}[${name}]` : text === '' ? name : `${text}.${name}`), '');
}

function shorten(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 77)}…`;
}
