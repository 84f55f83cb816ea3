// Covers reading and places. What the fields of a FlinkJob mean is covered beside its schema.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatYamlProblem, parseYaml, type YamlPath } from './yaml-source.ts';

function problems(text: string): readonly string[] {
  const result = parseYaml(text);
  assert(!result.ok, 'it was accepted');
  return result.problems.flatMap((problem) => formatYamlProblem('job.yaml', text, problem));
}

test('a syntax error names line and column, quotes the line and says what to do', () => {
  const table: readonly (readonly [string, RegExp])[] = [
    ['a:\n  b: 1\n\tc: 2\n', /^job\.yaml:3:1: .*\n {2}3 \| {2}c: 2\n {4}\| \^\n {2}Indent with spaces; YAML allows no tabs\.$/],
    ['a: 1\na: 2\n', /^job\.yaml:2:1: .*\n {2}2 \| a: 2\n {4}\| \^\n {2}Keep one of the two\.$/],
    ['a: b: c\n', /^job\.yaml:1:4: .*\n {2}1 \| a: b: c\n {4}\| {4}\^\n {2}Quote the value/],
    ['a:\n  b: 1\n c: 2\n', /^job\.yaml:3:1: .*\n {2}Give this line the same indent as its siblings\.$/s],
    ['a: [1, 2\nb: 3\n', /^job\.yaml:2:1: .*\n {2}Close the bracket/s],
    [
      'a: 1\n---\nb: 2\n',
      /^job\.yaml:2:1: the file has 2 documents, and one is expected\n.*Put each FlinkJob into a file of its own\.$/s,
    ],
    ['', /^job\.yaml: the file is empty\n {2}Write a FlinkJob into it/],
    ['# only a comment\n---\n', /^job\.yaml: the file is empty/],
  ];
  for (const [text, expected] of table) {
    assert.match(problems(text).join('\n'), expected);
  }
});

test('every value and key has its place; a missing field belongs to its parent', () => {
  const result = parseYaml(
    'metadata:\n  name: x\nspec:\n  job:\n    module: a\n    args: { text: 1 }\n  list:\n    - x: 1\n    - y: 2\n',
  );
  assert(result.ok);
  const table: readonly (readonly [YamlPath, 'key' | 'value', string])[] = [
    [['metadata', 'name'], 'value', '2:9'],
    [['metadata', 'name'], 'key', '2:3'],
    [['spec', 'job', 'args', 'text'], 'value', '6:19'],
    [['spec', 'job', 'parallelism'], 'value', '4:3'],
    [['spec', 'list', 1, 'y'], 'key', '9:7'],
    [['spec', 'list', 1], 'value', '9:7'],
    [['kind'], 'key', '1:1'],
    [[], 'value', '1:1'],
  ];
  for (const [path, of, expected] of table) {
    const place = result.source.position(path, of);
    assert.equal(`${place?.line}:${place?.column}`, expected, path.join('.'));
  }
});

test('a document that ends with a separator is one document', () => {
  const result = parseYaml('---\na: 1\n---\n');
  assert(result.ok);
  assert.deepEqual(result.source.value, { a: 1 });
});
