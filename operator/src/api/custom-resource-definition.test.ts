import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { z } from 'zod';
import { changeMeanings } from './change-meanings.ts';
import { assertStructural, type SchemaNode } from './custom-resource-definition.ts';
import { definitionFiles } from './custom-resource-definition-yaml.ts';
import { FlinkJobSpec } from './flink-job-spec.ts';

// The generated CustomResourceDefinitions, and what has to be said about every field. An API server is asked in the integration tests.

for (const [name, content] of Object.entries(definitionFiles())) {
  test(`the committed ${name} is what the schema generates`, async () => {
    const committed = await readFile(new URL(`../../../crds/${name}`, import.meta.url), 'utf8');
    assert.equal(committed, content, 'run `npm run generate` and commit crds/');
  });

  test(`${name} stays far below the size that kubectl can annotate`, () => {
    assert.ok(content.length < 200_000);
  });
}

const notStructural: readonly (readonly [string, SchemaNode, RegExp])[] = [
  ['a union of types', { anyOf: [{ type: 'string' }, { type: 'integer' }] }, /type is undefined/],
  ['a union beside a type', { type: 'object', oneOf: [{ required: ['a'] }] }, /oneOf is not allowed/],
  ['a reference', { type: 'object', $ref: '#/x' }, /\$ref is not allowed/],
  [
    'properties beside additionalProperties',
    { type: 'object', properties: {}, additionalProperties: false },
    /exclude each other/,
  ],
  ['an array of anything', { type: 'array' }, /needs items/],
  [
    'a bad node below',
    { type: 'array', items: { type: 'object', properties: { a: { description: 'a', type: 'any' } } } },
    /spec\[\]\.a: type is "any"/,
  ],
];

test('the emitter rejects a value that kubectl would read as a boolean', () => {
  assert.throws(() => assertStructural({ type: 'string', enum: ['Automatic', 'Off'] }, 'mode'), /kubectl reads Off/);
});

for (const [name, node, message] of notStructural) {
  test(`the emitter rejects ${name}`, () => {
    assert.throws(() => assertStructural(node, 'spec'), message);
  });
}

test('every leaf field of the spec says what its change means, and nothing else does', () => {
  const schema = z.toJSONSchema(FlinkJobSpec, { target: 'openapi-3.0', io: 'input' }) as SchemaNode;
  assert.deepEqual(Object.keys(changeMeanings).sort(), [...leaves(schema, '')].sort());
});

function leaves(node: SchemaNode, path: string): readonly string[] {
  const properties = Object.entries((node['properties'] ?? {}) as Record<string, SchemaNode>);
  return properties.length === 0
    ? [path]
    : properties.flatMap(([name, child]) => leaves(child, path === '' ? name : `${path}.${name}`));
}
