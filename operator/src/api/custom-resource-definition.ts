import { z } from 'zod';
import { group, version } from './labels.ts';
import { stringFormOf } from './string-forms.ts';

/** JSON data of one OpenAPI schema node. */
export type SchemaNode = { readonly [name: string]: unknown };

export interface DefinedResource {
  readonly kind: string;
  /** As in URLs: `flinkjobs`. */
  readonly plural: string;
  readonly singular: string;
  readonly shortName: string;
  readonly categories?: readonly string[];
  readonly description: string;
  readonly spec: SchemaNode;
  readonly status: SchemaNode;
  /** Rules in CEL over the whole object. */
  readonly validations?: readonly object[];
  readonly scale?: object;
  readonly columns: readonly object[];
}

/** As an API server takes it; the parts of the schema are `structural`. */
export function customResourceDefinition(resource: DefinedResource): object {
  const { kind, plural, singular, shortName, categories, description, spec, status, validations, scale, columns } = resource;
  const schema = {
    description,
    type: 'object',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', description: 'Version of this representation.' },
      kind: { type: 'string', description: `${kind}.` },
      metadata: { type: 'object' },
      spec,
      status,
    },
    ...(validations === undefined ? {} : { 'x-kubernetes-validations': validations }),
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      names: {
        ...{ kind, listKind: `${kind}List`, plural, singular, shortNames: [shortName] },
        ...(categories === undefined ? {} : { categories }),
      },
      scope: 'Namespaced',
      versions: [
        {
          ...{ name: version, served: true, storage: true, schema: { openAPIV3Schema: schema } },
          subresources: { status: {}, ...(scale === undefined ? {} : { scale }) },
          additionalPrinterColumns: columns,
        },
      ],
    },
  };
}

/** The schema of a part of a resource, as an API server takes it. */
export function structural(schema: z.ZodType, path: string): SchemaNode {
  const json = z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input' }) as SchemaNode;
  const node = repair(json);
  assertStructural(node, path);
  return node;
}

/** What zod says in JSON Schema's way and a structural schema says in another, or not at all. */
function repair(node: SchemaNode): SchemaNode {
  const { additionalProperties, properties, items, pattern, ...rest } = node;
  const fixed: Record<string, unknown> = { ...rest };
  // An empty map is dropped by the API server, and every `kubectl apply` would find a difference and write.
  if (Object.keys(properties ?? {}).length > 0) {
    // Beside `properties` it is forbidden; unknown fields are pruned, or refused by `kubectl --validate`.
    fixed['properties'] = mapValues(properties as Record<string, SchemaNode>, repair);
  } else if (
    typeof additionalProperties === 'object' &&
    additionalProperties !== null &&
    rest['x-kubernetes-preserve-unknown-fields'] !== true
  ) {
    fixed['additionalProperties'] = repair(additionalProperties as SchemaNode);
  }
  if (items !== undefined) {
    fixed['items'] = repair(items as SchemaNode);
  }
  // A format speaks for itself; the pattern that zod adds to it is long and only repeats it.
  if (pattern !== undefined && rest['format'] === undefined) {
    Object.assign(fixed, matching(String(pattern), rest));
  }
  if (rest['maximum'] === Number.MAX_SAFE_INTEGER) {
    delete fixed['maximum'];
  }
  if (rest['minimum'] === Number.MIN_SAFE_INTEGER) {
    delete fixed['minimum'];
  }
  if (rest['type'] === 'integer') {
    fixed['format'] = 'int64';
  }
  if (typeof rest['minimum'] === 'number' && !Number.isInteger(rest['minimum'])) {
    // API servers cut a bound off to a whole number before they compare a whole number with it: 0 would pass for 0.1.
    const { minimum } = rest;
    fixed['x-kubernetes-validations'] = [{ rule: `self >= ${minimum}`, message: `must be at least ${minimum}` }];
  }
  return fixed;
}

/** A rule, whose message people understand, where the pattern is one that can be said in words. */
function matching(pattern: string, { maxLength, 'x-kubernetes-validations': rules = [] }: SchemaNode): SchemaNode {
  const form = stringFormOf(pattern);
  return form === undefined
    ? { pattern }
    : {
        maxLength: maxLength ?? form.lengthMax,
        'x-kubernetes-validations': [
          { rule: `self.matches(${JSON.stringify(pattern)})`, message: `must be ${form.meaning}` },
          ...(rules as readonly object[]),
        ],
      };
}

const allowedKeys = new Set([
  'type',
  'format',
  'description',
  'default',
  'properties',
  'required',
  'additionalProperties',
  'items',
  'enum',
  'pattern',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'maxProperties',
  'nullable',
]);
const extensionPrefix = 'x-kubernetes-';
/** By YAML 1.1, which kubectl keeps to. */
const readOtherwise = /^(y|yes|n|no|on|off|true|false|null|~)$/i;
const types = new Set(['object', 'array', 'string', 'integer', 'number', 'boolean']);

/**
 * The rules that an API server holds a schema against: every node has one type, no unions with types inside, no references, either
 * `properties` or `additionalProperties`, and a description for people on every field.
 */
export function assertStructural(node: SchemaNode, path: string): void {
  const refuse = (why: string): never => {
    throw new Error(`${path}: ${why}, so the schema is not structural`);
  };
  if (typeof node['type'] !== 'string' || !types.has(node['type'])) {
    refuse(`type is ${JSON.stringify(node['type'])}`);
  }
  const unknown = Object.keys(node).find((key) => !allowedKeys.has(key) && !key.startsWith(extensionPrefix));
  if (unknown !== undefined) {
    refuse(`${unknown} is not allowed`);
  }
  const { properties, additionalProperties, items, enum: values } = node;
  const misread = (values as readonly string[] | undefined)?.find((value) => readOtherwise.test(value));
  // Nobody writes a status by hand.
  if (misread !== undefined && !path.startsWith('status')) {
    throw new Error(`${path}: kubectl reads ${misread}, unless it is in quotes, as a boolean or as nothing; choose another word`);
  }
  if (properties !== undefined && additionalProperties !== undefined) {
    refuse('properties and additionalProperties exclude each other');
  }
  if (node['type'] === 'array' && (typeof items !== 'object' || items === null)) {
    refuse('an array needs items');
  }
  for (const [name, child] of Object.entries((properties ?? {}) as Record<string, SchemaNode>)) {
    if (typeof child['description'] !== 'string' && child['type'] !== undefined) {
      throw new Error(`${path}.${name}: has no description`);
    }
    assertStructural(child, `${path}.${name}`);
  }
  if (typeof additionalProperties === 'object' && additionalProperties !== null) {
    assertStructural(additionalProperties as SchemaNode, `${path}.*`);
  }
  if (typeof items === 'object' && items !== null) {
    assertStructural(items as SchemaNode, `${path}[]`);
  }
}

export function mapValues<A, B>(record: Readonly<Record<string, A>>, map: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}
