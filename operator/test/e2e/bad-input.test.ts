/** Bad input gets an answer that says what, where and what to do, and the running job goes on. */
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import { JobUnderTest, jobModule, runFlinkjob } from './job-under-test.ts';
import { newestCheckpointDirectory } from './lineage-facts.ts';

test('every bad edit of a running job is answered by name, and the job runs on untouched', async (t) => {
  const job = new JobUnderTest(t);
  const module = join(job.directory, 'edited.ts');
  copyFileSync(jobModule('keyed-count.ts'), module);
  const good = readFileSync(module, 'utf8');
  const args = { seed: '3', count: '4000000', out: job.outputDirectory, recordsPerSecond: '160' };
  job.edit(JobUnderTest.spec(job, module, { job: { module, args, parallelism: 1 } }));
  job.dev();
  const before = await job.untilStatus(
    'a checkpoint',
    ({ state, lastCheckpoint }) => state === 'Running' && lastCheckpoint !== undefined,
  );
  await job.untilView('settled', ({ status }) => status.state === 'Running' && status.rollout === undefined);
  const goodYaml = readFileSync(job.file, 'utf8');

  /** Wrong already in the file: `dev` answers, nothing is applied. */
  const refusedFiles: readonly { readonly what: string; readonly yaml: string; readonly says: readonly RegExp[] }[] = [
    {
      what: 'unknown field',
      yaml: goodYaml.replace('parallelism: 1', 'paralelism: 1'),
      says: [/paralelism/, /did you mean.*parallelism/i],
    },
    {
      what: 'wrong type',
      yaml: goodYaml.replace('parallelism: 1', 'parallelism: four'),
      says: [/spec\.job\.parallelism/, /four/],
    },
    { what: 'no YAML', yaml: `${goodYaml}\n  : [`, says: [/line|:\d+/] },
  ];
  for (const { what, yaml, says } of refusedFiles) {
    const seen = job.output.length;
    job.writeYaml(yaml);
    await job.until(`an answer to: ${what}`, () =>
      says.every((pattern) => pattern.test(job.output.slice(seen))) ? true : undefined,
    );
  }
  job.writeYaml(goodYaml);

  /** Found by pre-flight: the resource shows it, the running revision is untouched. */
  const refusedModules: readonly { readonly what: string; readonly text: string; readonly says: RegExp }[] = [
    { what: 'a module that throws', text: `${good}\nthrow new Error('out of cheese');\n`, says: /out of cheese/ },
    {
      what: 'no default export',
      text: good.replace('export default defineJob', 'export const job = defineJob'),
      says: /default export/i,
    },
    { what: 'duplicate uid', text: good.replace("{ uid: 'files' }", "{ uid: 'counts' }"), says: /uid.*counts|counts.*uid/i },
    { what: 'missing uid', text: good.replace(", { uid: 'files' }", ', {} as { uid: string }'), says: /uid/i },
    {
      what: 'a state that vanished from the snapshot',
      text: good.replace('seen: state.value', 'also: state.value(t.int), seen: state.value'),
      says: /also/,
    },
    { what: 'a uid that vanished from the job', text: good.replace("{ uid: 'counts' }", "{ uid: 'tally' }"), says: /counts/ },
  ];
  let answer: string | undefined;
  for (const { what, text, says } of refusedModules) {
    assert.notEqual(text, good, `the edit for "${what}" must change the module`);
    writeFileSync(module, text);
    // Not the answer to the one before, which may say the same.
    const isNew = (message = '') => message !== answer && says.test(message);
    const view = await job.untilView(`an answer to: ${what}`, ({ status }) => isNew(status.error?.message));
    answer = view.status.error?.message;
    assert(view.status.error?.remedy !== undefined && view.status.error.remedy.length > 10, `${what}: a remedy`);
    await assertUntouched(job, before);
  }

  // A corrected file is accepted from that state.
  writeFileSync(module, good);
  await job.untilView('the error is gone', ({ status }) => status.error === undefined && status.state === 'Running');
  await assertUntouched(job, before);
});

test('storage that cannot be written is named before anything starts', async (t) => {
  const job = new JobUnderTest(t);
  // A file where a directory is needed refuses root too.
  const blocked = join(job.directory, 'not-a-directory');
  writeFileSync(blocked, '');
  job.edit(
    JobUnderTest.spec(job, 'keyed-count.ts', {
      job: {
        module: jobModule('keyed-count.ts'),
        args: { seed: '1', count: '40', out: job.outputDirectory },
        parallelism: 1,
      },
      state: { checkpointStorage: `file://${blocked}` },
    }),
  );
  job.dev();
  const view = await job.untilView('an answer', ({ status }) => status.error !== undefined);
  assert.match(view.status.error?.message ?? '', /not-a-directory/);
  assert(view.status.error?.remedy !== undefined);
  assert.deepEqual(job.processes(), []);
});

test('a corrupt _metadata and a truncated state file are refused by name, and nothing older is taken in silence', async (t) => {
  const job = new JobUnderTest(t);
  const args = { seed: '3', count: '4000000', keys: '20000', out: job.outputDirectory, recordsPerSecond: '20000' };
  job.edit(JobUnderTest.spec(job, 'keyed-count.ts', { job: { module: jobModule('keyed-count.ts'), args, parallelism: 1 } }));
  job.dev();
  await job.untilStatus(
    'state that is too large to be inline',
    ({ lastCheckpoint }) => (lastCheckpoint?.sizeBytes ?? 0) > 100_000,
  );
  assert.equal(await job.endDev('SIGINT'), 0, job.output);

  const { stateFile, metadata } = newestCheckpointDirectory(job);
  assert(stateFile !== undefined, 'the newest checkpoint has a state file');
  const whole = readFileSync(stateFile);
  chmodSync(stateFile, 0o644);
  truncateSync(stateFile, 1000);
  await refusedWith(job, /1000|truncated|length|size/i, stateFile.slice(stateFile.lastIndexOf('/') + 1));
  writeFileSync(stateFile, whole);

  const manifest = readFileSync(metadata);
  chmodSync(metadata, 0o644);
  writeFileSync(metadata, '{"format":1}');
  await refusedWith(job, /_metadata/, '_metadata');
  writeFileSync(metadata, manifest);

  job.dev();
  const status = await job.untilStatus('it continues once the files are back', ({ state }) => state === 'Running');
  assert.equal(status.restored?.source, 'Savepoint');
});

test('a port in use is named', async (t) => {
  const job = new JobUnderTest(t);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const address = server.address();
  assert(address !== null && typeof address === 'object');
  job.edit(
    JobUnderTest.spec(job, 'keyed-count.ts', {
      job: {
        module: jobModule('keyed-count.ts'),
        args: { seed: '1', count: '40', out: job.outputDirectory },
        parallelism: 1,
      },
      jobManager: { restPort: address.port },
    }),
  );
  job.dev();
  // In what was told: the resource says it only until the next process tries.
  const answer = new RegExp(`PortInUse: .*:${address.port}: the port is in use`);
  await job.until('an answer', () => (answer.test(job.output) ? true : undefined));
});

test('run answers bad input with what, where and what to do', async (t) => {
  const job = new JobUnderTest(t);
  const module = join(job.directory, 'module.ts');
  const cases: readonly { readonly text: string | undefined; readonly says: RegExp }[] = [
    { text: undefined, says: /module\.ts/ },
    { text: 'export default 42;', says: /defineJob/ },
    { text: 'const x: number = ;', says: /module\.ts/ },
  ];
  for (const { text, says } of cases) {
    if (text !== undefined) {
      writeFileSync(module, text);
    }
    const { code, stderr } = await runFlinkjob('run', module);
    assert.notEqual(code, 0);
    assert.match(stderr, says);
    assert.doesNotMatch(stderr, /^\s+at .*node:internal/m, 'no stack of ours for a mistake of theirs');
  }
  const unknown = await runFlinkjob('runn', module);
  assert.notEqual(unknown.code, 0);
  assert.match(unknown.stderr, /run/);
});

async function assertUntouched(job: JobUnderTest, before: JobStatusDocument): Promise<void> {
  const now = await job.untilStatus('the job answers', () => true);
  assert.equal(now.podUid, before.podUid);
  assert.equal(now.epoch, before.epoch);
  assert.equal(now.executionAttempt, before.executionAttempt);
  assert.equal(now.state, 'Running');
}

async function refusedWith(job: JobUnderTest, says: RegExp, names: string): Promise<void> {
  job.dev();
  const view = await job.untilView(`refused because of ${names}`, ({ status }) => status.error?.message.includes(names) ?? false);
  assert.match(view.status.error?.message ?? '', says);
  assert(view.status.error?.remedy !== undefined);
  await job.endDev('SIGINT');
}
