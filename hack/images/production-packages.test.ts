// What goes into an image beside our own sources, from what is installed here. That the images work is tried when they are built, and in kind.
import assert from 'node:assert/strict';
import { existsSync, globSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { ownImages } from './build-context.ts';
import { copyProductionPackages } from './production-packages.ts';

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const directory = mkdtempSync(join(tmpdir(), 'flinkjob-images-'));
after(() => rmSync(directory, { recursive: true }));

for (const { name, workspace } of ownImages) {
  test(`the image of the ${name} has what it runs with, and nothing that it is developed with`, async () => {
    const target = join(directory, name);
    await copyProductionPackages(root, workspace, target);
    const manifest = JSON.parse(readFileSync(join(root, name, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const packages = Object.keys(manifest.dependencies);
    assert.ok(packages.length > 3);
    for (const dependency of packages) {
      assert.ok(
        dependency === '@flinkjob/runtime' || existsSync(join(target, 'node_modules', dependency, 'package.json')),
        dependency,
      );
    }
    assert.equal(readlinkSync(join(target, 'node_modules/@flinkjob/runtime')), '../../runtime');
    for (const tool of ['typescript', '@biomejs', 'knip', 'node', '@types']) {
      assert.ok(!existsSync(join(target, 'node_modules', tool)), tool);
    }
    assert.deepEqual(globSync('**/*.{d.ts,map}', { cwd: target }), []);
  });
}

test('the images run as a number that is not root, and the chart runs this version of them', () => {
  for (const { name } of ownImages) {
    assert.match(readFileSync(join(root, 'images', name, 'Dockerfile'), 'utf8'), /^USER [1-9]\d*:[1-9]\d*$/m);
  }
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const chart = join(root, 'charts', 'flinkjob-operator');
  assert.equal(parse(readFileSync(join(chart, 'Chart.yaml'), 'utf8')).appVersion, version);
  assert.equal(parse(readFileSync(join(chart, 'values.yaml'), 'utf8')).image.repository, 'flinkjob/operator');
});
