// The command as a process, on snapshots that this release took (../../test/fixtures): what is printed, exit codes, what is refused and how. That all rows are
// there is tested with the fixtures.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { nativeBindingAvailability } from '../state-backend/rocksdb/native-loader.ts';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const fixtures = fileURLToPath(new URL('../../test/fixtures/taken/0.1.0', import.meta.url));
const hashmap = join(fixtures, 'hashmap/lineage');
const rocksDb = join(fixtures, 'rocksdb/lineage');
const withoutRocksDb = nativeBindingAvailability().state === 'Missing' && 'the RocksDB addon is not built';

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'state-command-'));
});
after(() => rm(directory, { recursive: true, force: true }));

function state(...args: readonly string[]): Promise<Answer> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, TMPDIR: directory }, maxBuffer: 64 * 1024 * 1024 };
    execFile(process.execPath, [main, 'state', ...args], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

async function printed(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await state(...args);
  assert.equal(code, 0, stderr);
  return stdout;
}

describe('state ls', () => {
  test('shows the newest checkpoint of a lineage, by its folder and as `latest`', async () => {
    const text = await printed('ls', hashmap);
    assert.equal(await printed('ls', `${hashmap}/latest`), text);
    assert.match(text, /^file:\/\/.*\/savepoints\/000004-e1\nSavepoint 4 of every-state, epoch 1, taken /u);
    assert.match(text, /Owner fixtures\/default\/every-state, because: to be read by later releases\./u);
    assert.match(text, /\nstates, parallelism 2 of at most 128\n {2}key string, timers\n/u);
    assert.match(text, /\n {2}count +value +int +key\n/u);
    assert.match(text, /\n {2}byVisit +map +struct\{1 page: string, 2 at: optional<double>\} to boolean/u);
    assert.match(text, /\n {2}recent +value +string +key +3600000 ms from the last write\n/u);
    assert.match(text, /\n {2}0-63 +Canonical +\S+ KiB +1\n/u);
    assert.match(text, /\n {2}split-0 +\{"next":\d+\}/u);
    assert.match(text, /broadcast state/u);
    assert.match(text, /\d+ pieces of output that wait for their commit, of checkpoint 4\n/u);
  });

  test('gives the same to programs', async () => {
    const document = JSON.parse(await printed('ls', join(hashmap, 'savepoints/000003-e1'), '-o', 'json'));
    assert.deepEqual([document.kind, document.checkpointId, document.jobName], ['Savepoint', 3, 'every-state']);
    const operator = document.operators.find(({ uid }: { uid: string }) => uid === 'states');
    assert.deepEqual(operator.keyed.keyType, { type: 'string' });
    assert.deepEqual(operator.parts[0].keyGroups, { first: 0, last: 63 });
    assert.equal(operator.parts[0].backend, 'HashMap');
  });
});

describe('state get', () => {
  for (const [name, lineage, skip] of [
    ['HashMap', join(hashmap, 'savepoints/000003-e1'), false],
    ['RocksDB', join(rocksDb, 'savepoints/000003-e1'), withoutRocksDb],
    ['Canonical', join(hashmap, 'savepoints/000004-e1'), false],
  ] as const) {
    test(`prints one key of a part of ${name}`, { skip }, async () => {
      const count = Number(await printed('get', lineage, 'states', 'count', 'key-3'));
      assert.ok(count > 0);
      assert.equal(await printed('get', lineage, 'states', 'count', '"key-3"'), `${count}\n`);
      const words = (await printed('get', lineage, 'states', 'words', 'key-3', '-o', 'json')).trimEnd().split('\n');
      assert.equal(words.length, count);
      assert.deepEqual(JSON.parse(words[1] ?? ''), {
        ...{ uid: 'states', state: 'words', stateType: 'list', keyGroup: JSON.parse(words[0] ?? '').keyGroup },
        ...{ key: 'key-3', index: 1, value: 'word 2' },
      });
      const seen = await printed('get', lineage, 'states', 'seen', 'key-3');
      assert.match(seen, /^KEY GROUP +KEY .*\n\d+ +"key-3" +seen +1 +"1"\n\d+ +"key-3" +seen +2 +"1073741824"\n/u);
      assert.deepEqual(await readdir(directory), []);
    });
  }

  test('of a key that has nothing says so, with exit code 1', async () => {
    const { code, stdout, stderr } = await state('get', hashmap, 'states', 'count', 'nobody');
    assert.deepEqual([code, stdout], [1, '']);
    assert.equal(stderr, `'states' has nothing in 'count' for the key "nobody"\n`);
  });
});

test('state scan shows some rows and says that there are more; key groups choose among them', async () => {
  const { stdout, stderr } = await state('scan', hashmap, 'states', '--limit', '5');
  assert.equal(stdout.trimEnd().split('\n').length, 6);
  assert.equal(stderr, 'These are the first 5; there are more (--limit N, or state export).\n');
  const all = (await printed('scan', hashmap, 'states', 'count', '-o', 'json'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(all.length, 12);
  const low = (await printed('scan', hashmap, 'states', 'count', '-o', 'json', '--key-group', '0-63')).trimEnd().split('\n');
  assert.deepEqual(
    low.map((line) => JSON.parse(line)),
    all.filter(({ keyGroup }) => keyGroup <= 63),
  );
  assert.match(await printed('scan', hashmap, 'windows', '--limit', '1'), /\{"start":\d+,"end":\d+\}/u);
});

test('state export writes every row, after a line that describes them', async () => {
  const file = join(directory, 'rows.jsonl');
  const { code, stderr } = await state('export', hashmap, file, '--to', 'jsonl');
  assert.equal(code, 0, stderr);
  const [head = '', ...rows] = (await readFile(file, 'utf8')).trimEnd().split('\n');
  assert.equal(stderr, `${rows.length} rows\n`);
  assert.equal(JSON.parse(head).snapshot.checkpointId, 4);
  const expected = await readFile(join(fixtures, 'hashmap/rows/savepoints_000004-e1.jsonl'), 'utf8');
  assert.deepEqual(rows, expected.trimEnd().split('\n'));
  const one = await printed('export', hashmap, '-', '--to', 'jsonl', '--uid', 'states', '--state', 'count');
  assert.equal(one.trimEnd().split('\n').length, 13);
  assert.match((await state('export', hashmap, file, '--to', 'jsonl')).stderr, /exists already \[FileExists\]/u);
  await rm(file);
  assert.deepEqual(await readdir(directory), []);
});

describe('what is wrong is named', () => {
  const wrong: readonly (readonly [string, readonly string[], RegExp])[] = [
    [
      'an operator',
      ['scan', hashmap, 'stats'],
      /no operator 'stats' \[OperatorNotFound\]\n {2}Did you mean 'states'\? Its operators: /u,
    ],
    ['a state', ['get', hashmap, 'states', 'cuont', 'x'], /no keyed state 'cuont'.*\n {2}Did you mean 'count'\?/u],
    ['an operator without state', ['scan', hashmap, 'events'], /'events' has no keyed state.*\[StateNotFound\]/u],
    ['a key group', ['scan', hashmap, 'states', '--key-group', '5-1'], /--key-group 5-1 is neither/u],
    ['an action', ['list', hashmap], /state has no action "list" \[BadArguments\]\n {2}Use: state ls/u],
    ['an option', ['ls', hashmap, '--limit', '3'], /state ls takes no --limit/u],
    ['a place', ['ls', fixtures], /is no checkpoint or savepoint: there is no _metadata in it/u],
    ['a form', ['export', hashmap, 'x', '--to', 'csv'], /does not write csv/u],
  ];
  for (const [what, args, message] of wrong) {
    test(`${what}, with exit code 2`, async () => {
      const { code, stdout, stderr } = await state(...args);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, message);
    });
  }
});
