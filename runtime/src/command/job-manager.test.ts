// The JobManager's process around the JobManager: configuration, ports, modules that cannot be loaded, signals. As child processes, because
// exit codes and signals are what is promised. Jobs that run are tested with TaskManagers.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { jobManagerConfig } from '../../test/fakes/job-manager-harness.ts';
import type { JobManagerAddress } from '../api/process-config.ts';
import type { JobStatusDocument } from '../api/rest.ts';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'job-manager-'));
});
after(() => rm(directory, { recursive: true }));

interface Running {
  readonly process: ChildProcess;
  readonly exitCode: Promise<number | null>;
  readonly stderr: () => string;
}

async function start(name: string, config: object): Promise<Running> {
  const path = join(directory, `${name}.json`);
  await writeFile(path, JSON.stringify(config));
  const process_ = spawn(process.execPath, [main, 'job-manager', '--config', path], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  process_.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const exitCode = once(process_, 'close').then(([code]) => code as number | null);
  return { process: process_, exitCode, stderr: () => stderr };
}

function configOf(name: string, module: string, overrides: object = {}): object {
  const base = jobManagerConfig();
  return {
    ...base,
    job: { ...base.job, module },
    lineage: { ...base.lineage, checkpointStorage: pathToFileURL(join(directory, 'storage')).href, name },
    ...{ rest: { host: '127.0.0.1', port: 0 }, rpc: { host: '127.0.0.1', port: 0 } },
    addressFile: join(directory, `${name}-address.json`),
    ...overrides,
  };
}

/** Polls until the process says what is waited for; the time-out of the test runner ends what never comes. */
async function statusOnce(name: string, isIt: (status: JobStatusDocument) => boolean): Promise<JobStatusDocument> {
  for (;;) {
    try {
      const { rest } = JSON.parse(await readFile(join(directory, `${name}-address.json`), 'utf8')) as JobManagerAddress;
      const status = (await (await fetch(`http://${rest}/v1/status`)).json()) as JobStatusDocument;
      if (isIt(status)) {
        return status;
      }
    } catch {
      // Not listening yet.
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
}

const limit = { timeout: 60_000 };

test('a configuration that is wrong ends the process with code 2 and names every field', limit, async () => {
  const wrong = { ...configOf('wrong', '/job.ts'), revision: 5, colour: 'blue' };
  const { exitCode, stderr } = await start('wrong', wrong);
  assert.equal(await exitCode, 2);
  assert.match(stderr(), /revision: .*expected string.*got 5/);
  assert.match(stderr(), /unknown field 'colour'/);
});

test('a REST port that is in use ends the process with a message that names it', limit, async () => {
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  const address = holder.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const { exitCode, stderr } = await start('port', configOf('port', '/job.ts', { rest: { host: '127.0.0.1', port } }));
  assert.equal(await exitCode, 1);
  assert.match(stderr(), new RegExp(`127.0.0.1:${port}: the port is in use`));
  holder.close();
});

test('a module that throws is shown as Refused, with its place, until the process is told to end', limit, async () => {
  const module = join(directory, 'throws.mjs');
  await writeFile(module, "throw new Error('no luck');");
  const running = await start('throws', configOf('throws', module));
  const status = await statusOnce('throws', ({ state }) => state === 'Refused');
  assert.match(status.error?.message ?? '', /throws\.mjs:1.*no luck/);
  running.process.kill('SIGTERM');
  assert.equal(await running.exitCode, 0);
});

test('a job is opened, waits for TaskManagers, and ends with code 0 on SIGTERM without stopping the job', limit, async () => {
  const module = join(directory, 'job.mjs');
  await writeFile(
    module,
    `import { datagen, defineJob, print } from '@flinkjob/runtime';
     export default defineJob(({ env }) => {
       env.source(datagen({ seed: 1, count: 10 }), { uid: 'events' }).sink(print(), { uid: 'out' });
     });`,
  );
  const running = await start('job', configOf('job', module));
  const status = await statusOnce('job', ({ state }) => state === 'WaitingForTaskManagers');
  assert.equal(status.epoch, 1);
  running.process.kill('SIGTERM');
  assert.equal(await running.exitCode, 0);
  // The same pod again: nothing was closed, so it opens the next epoch.
  const again = await start('job', configOf('job', module));
  const next = await statusOnce('job', ({ epoch }) => epoch === 2);
  assert.equal(next.state, 'WaitingForTaskManagers');
  // A newer one fences it: it ends by itself, with the code that says so.
  const newer = await start('newer', configOf('job', module, { attempt: { number: 2, token: 'attempt-2' }, podUid: 'pod-2' }));
  assert.equal(await again.exitCode, 3);
  // It has opened the lineage before it says where it is.
  await statusOnce('job', ({ epoch }) => epoch === 3);
  const address = JSON.parse(await readFile(join(directory, 'job-address.json'), 'utf8')) as JobManagerAddress;
  assert.deepEqual([address.podUid, address.epoch], ['pod-2', 3]);
  newer.process.kill('SIGTERM');
  assert.equal(await newer.exitCode, 0);
});

test('a JobManager whose directory was deleted ends by itself: nobody could find or end it any more', limit, async () => {
  const module = join(directory, 'forgotten.mjs');
  await writeFile(
    module,
    `import { datagen, defineJob, print } from '@flinkjob/runtime';
     export default defineJob(({ env }) => {
       env.source(datagen({ seed: 1, count: 10 }), { uid: 'events' }).sink(print(), { uid: 'out' });
     });`,
  );
  const attempt = join(directory, 'attempt');
  await mkdir(attempt);
  const running = await start('forgotten', configOf('forgotten', module, { addressFile: join(attempt, 'address.json') }));
  while (!existsSync(join(attempt, 'address.json'))) {
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
  // It may be writing there.
  await rm(attempt, { recursive: true, maxRetries: 10, retryDelay: 20 });
  assert.equal(await running.exitCode, 1);
});
