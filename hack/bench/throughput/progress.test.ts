import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { readProgress, recordsAt } from './progress.ts';

function temporaryDirectory(t: { readonly after: (end: () => void) => void }): string {
  const directory = mkdtempSync(join(tmpdir(), 'flinkjob-bench-progress-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

test('counts and samples are read up to the last whole line', async (t) => {
  const directory = temporaryDirectory(t);
  assert.equal(await readProgress(directory), undefined);
  writeFileSync(join(directory, 'subtask-0-1.log'), 'count 1000 0\nsample 0 word7 1\ncount 1100 500\nsample 65536 wo');
  assert.deepEqual(await readProgress(directory), {
    counts: [
      { atMs: 1000, records: 0 },
      { atMs: 1100, records: 500 },
    ],
    samples: [{ index: 0, values: ['word7', '1'] }],
  });
});

test('a second attempt spoils the measurement', async (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'subtask-0-1.log'), '');
  writeFileSync(join(directory, 'subtask-0-2.log'), '');
  await assert.rejects(readProgress(directory), /the job was restarted while it was measured: 2 attempts/);
});

test('records at a time lie on the line between two counts', () => {
  const counts = [
    { atMs: 1000, records: 0 },
    { atMs: 1100, records: 500 },
    { atMs: 1200, records: 500 },
  ];
  assert.equal(recordsAt(counts, 1050), 250);
  assert.equal(recordsAt(counts, 1150), 500);
  assert.throws(() => recordsAt(counts, 1201), /did the job stand still/);
  assert.throws(() => recordsAt(counts, 999), /no progress is known/);
});
