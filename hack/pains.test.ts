// docs/operator-pains.md says which tests show what: each must be there, under that name, so that nobody renames or removes one without the table.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = readFileSync(join(root, 'docs/operator-pains.md'), 'utf8');
const rows = page.split('\n').filter((line) => /^\| \d+ \|/.test(line));

interface Reference {
  readonly name: string;
  readonly file: string;
}

function referencesIn(text: string): readonly Reference[] {
  return [...text.matchAll(/\[([^\]]+)\]\(([^)]+\.ts)\)/g)].map(([, name = '', target = '']) => ({
    name,
    file: normalize(join('docs', target)),
  }));
}

/** Whether the file has a test, a group of them or, where mistakes are planted, an entry of that name. Of a name with parts that are filled in, each must be in the file. */
function isIn(text: string, name: string): boolean {
  const titles = [...text.matchAll(/\b(?:test|it|describe)\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1/g)].map(
    ([, , title = '']) => title,
  );
  const entries = [...text.matchAll(/^ {2}'([^']+)': \{$/gm)].map(([, entry = '']) => entry);
  const values = text.replaceAll(/(?<=\d)_(?=\d)/g, '');
  return [...titles, ...entries].some((title) => {
    const fixed = title.split(/\$\{[^}]*\}/);
    if (fixed.join('').trim() === '') {
      return false;
    }
    const pattern = fixed.map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('(.+)');
    const found = name.match(new RegExp(`^${pattern}$`));
    return found?.slice(1).every((value) => values.includes(`'${value}'`) || new RegExp(`= ${value};`).test(values)) ?? false;
  });
}

/** With the tables of `test/contracts` that it plays, which its names are filled in from. */
function textOf(file: string): string {
  const text = readFileSync(join(root, file), 'utf8');
  const tables = [...text.matchAll(/from '(\.[^']*\/contracts\/[^']+)';$/gm)].map(([, target = '']) =>
    join(root, dirname(file), target),
  );
  return [text, ...tables.map((table) => readFileSync(table, 'utf8'))].join('\n');
}

test('every test that the table of pains names is there', () => {
  const missing = referencesIn(page).filter(({ name, file }) => !isIn(textOf(file), name));
  assert.deepEqual(missing, [], 'correct docs/operator-pains.md, or name the test as it was');
});

test('the table has all twenty-five, each with tests or with what is missing', () => {
  assert.deepEqual(
    rows.map((row) => Number(row.split('|')[1])),
    Array.from({ length: 25 }, (_, index) => index + 1),
  );
  for (const row of rows) {
    assert.ok(referencesIn(row).length > 0 || row.includes('**Not yet:**'), row);
  }
});

test('every report that the table names has its address', () => {
  const named = rows.flatMap((row) => [...row.matchAll(/\[([^\]]+)\](?!\()/g)].map(([, label = '']) => label));
  const addressed = [...page.matchAll(/^\[([^\]]+)\]: https:\/\/\S+$/gm)].map(([, label = '']) => label);
  assert.deepEqual([...new Set(named)].toSorted(), addressed.toSorted());
});

test('a test that was renamed, or is filled in with something else, is not found', () => {
  const hole = (name: string) => `\${${name}}`;
  const text = [
    'const seeds = 2_000;',
    "const kinds = ['jobs'];",
    "test('a job stops', run);",
    `test(\`${hole('seeds')} lives of ${hole('kind')} end\`, run);`,
    `test(\`${hole('name')}\`, run);`,
  ].join('\n');
  for (const name of ['a job stops', '2000 lives of jobs end']) {
    assert.ok(isIn(text, name), name);
  }
  for (const name of ['a job', 'a job stops.', '200 lives of jobs end', '2000 lives of pods end', 'anything']) {
    assert.ok(!isIn(text, name), name);
  }
});
