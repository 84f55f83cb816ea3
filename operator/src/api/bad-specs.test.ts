import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { badSpecsPage } from '../../../hack/generate-bad-specs.ts';
import { flinkJobOf } from '../../test/contracts/bad-spec.ts';
import { badSpecs } from '../../test/contracts/bad-specs.ts';
import { parseFlinkJob } from './parse-flink-job.ts';

// What the command line and the controller say of bad specs. What the API server says is in test/api.

for (const bad of badSpecs) {
  test(`${bad.what} is answered in words`, () => {
    const parsed = parseFlinkJob(flinkJobOf(bad));
    const said = parsed.ok ? [] : parsed.problems.map(({ message, remedy }) => [message, remedy]);
    assert.deepEqual(said, bad.controller);
    assert.ok(said.length > 0 || bad.server !== undefined, 'nobody says that it is bad');
  });
}

test('each mistake is there once, and the page is made of the table', () => {
  assert.equal(new Set(badSpecs.map(({ what }) => what)).size, badSpecs.length);
  assert.ok(badSpecs.length >= 60, `${badSpecs.length} mistakes`);
  const page = readFileSync(new URL('../../../docs/bad-specs.md', import.meta.url), 'utf8');
  assert.equal(page, badSpecsPage(), 'run `npm run generate` and commit docs/');
});
