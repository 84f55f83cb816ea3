/** Our own bans: what no other tool of the project checks. Import rules by pattern are Biome's, unused code is knip's. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(root, file)));
const sources = files.filter((file) => file.endsWith('.ts') && !file.includes('/gen/'));

function text(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

test('no folder is named for nothing in particular', () => {
  const vague = files.filter((file) => /(^|\/)(utils?|common|helpers?|misc|lib)\//.test(file));
  assert.deepEqual(vague, []);
});

test('file names are kebab-case', () => {
  assert.deepEqual(
    sources.filter((file) => !/^[a-z0-9][a-z0-9.-]*\.ts$/.test(file.slice(file.lastIndexOf('/') + 1))),
    [],
  );
});

test('no test is left out or left alone', () => {
  const lonely = sources.filter(
    (file) => file !== 'hack/tidy.test.ts' && /\b(test|it|describe|suite)\.(only|todo|skip)\b/.test(text(file)),
  );
  assert.deepEqual(lonely, []);
});

test('nothing waits for an unnamed piece of work', () => {
  const written = [...sources, ...files.filter((file) => /\.(md|mjs|ya?ml|tpl)$/.test(file))];
  const marked = written.filter((file) => file !== 'hack/tidy.test.ts' && /\b(TODO|FIXME|XXX)\b/.test(text(file)));
  assert.deepEqual(marked, []);
});

test('core imports nothing outside core but the types of the API it serves', () => {
  const wrong: string[] = [];
  for (const file of sources.filter((name) => name.startsWith('runtime/src/core/') && !name.endsWith('.test.ts'))) {
    for (const target of relativeImports(file)) {
      if (!target.startsWith('runtime/src/core/')) {
        wrong.push(`${file} imports ${target}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

test('no module imports itself by a detour', () => {
  const graph = new Map(sources.map((file) => [file, relativeImports(file)]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) {
      cycles.push([...path.slice(start), file].join(' → '));
      return;
    }
    if (done.has(file)) {
      return;
    }
    for (const target of graph.get(file) ?? []) {
      visit(target, [...path, file]);
    }
    done.add(file);
  };
  for (const file of graph.keys()) {
    visit(file, []);
  }
  assert.deepEqual(cycles, []);
});

test('the lock file names no registry', () => {
  assert.doesNotMatch(text('package-lock.json'), /"resolved": "(?!operator"|runtime")/);
});

/** Values only: a type import is gone at run time and makes no cycle. */
function relativeImports(file: string): string[] {
  const found = text(file).matchAll(/^(?:import|export) (?!type\b)[^;]*? from '(\.[^']+)';|^import '(\.[^']+)';/gms);
  return [...found].map((match) => normalize(join(dirname(file), match[1] ?? match[2] ?? '')));
}
