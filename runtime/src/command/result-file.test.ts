// What a pod says in its termination message, and what its command line says on top of a file that all pods of a workload share.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { resultFileSizeBytesMax } from '../api/process-config.ts';
import { readProcessConfig } from './read-process-config.ts';
import { writeResultFile } from './result-file.ts';

let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'result-file-'));
});
after(() => rm(directory, { recursive: true }));

interface Answer {
  readonly ok: boolean;
  readonly details: readonly string[];
}
const withoutDetails = (answer: Answer): Answer => ({ ...answer, details: [] });
const details = (count: number) => Array.from({ length: count }, (_, index) => `detail ${index}`);

test('an answer that fits is written whole', async () => {
  const path = join(directory, 'small');
  const answer = { ok: true, details: details(3) };
  await writeResultFile(['--json', '--result-file', path], answer, [withoutDetails]);
  assert.deepEqual(JSON.parse(await readFile(path, 'utf8')), answer);
});

test('a large one loses what may be left out, and still is JSON', async () => {
  const path = join(directory, 'large');
  await writeResultFile(['--result-file', path], { ok: true, details: details(2000) }, [withoutDetails]);
  const text = await readFile(path, 'utf8');
  assert.ok(text.length <= resultFileSizeBytesMax);
  assert.deepEqual(JSON.parse(text), { ok: true, details: [] });
});

test('one that cannot be made to fit is an error and not half an answer', async () => {
  const path = join(directory, 'too-large');
  await assert.rejects(writeResultFile(['--result-file', path], { details: details(2000) }, []), /does not fit/);
  await assert.rejects(readFile(path), /ENOENT/);
});

const schema = z.strictObject({ podUid: z.string(), rpc: z.strictObject({ host: z.string(), port: z.int() }) });

async function read(...settings: readonly string[]): Promise<z.output<typeof schema>> {
  const path = join(directory, 'config.json');
  await writeFile(path, JSON.stringify({ podUid: 'of the file', rpc: { host: '', port: 6123 } }));
  return await readProcessConfig(schema, ['--config', path, ...settings.flatMap((setting) => ['--set', setting])]);
}

test('--set replaces text in the file, at any depth', async () => {
  assert.deepEqual(await read('podUid=u=1', 'rpc.host=10.0.0.7'), { podUid: 'u=1', rpc: { host: '10.0.0.7', port: 6123 } });
});

test('--set is held against the schema like the file, and a variable that nobody replaced is an error', async () => {
  await assert.rejects(read('rpc.address=x'), /unknown field 'address'/);
  await assert.rejects(read('podUid=$(POD_UID)'), /a variable that was not replaced/);
  await assert.rejects(read('podUid='), /the text is empty/);
  await assert.rejects(read('podUid'), /expected path=text/);
});
