import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { pause, watchFiles } from './file-watch.ts';

async function directory(context: TestContext): Promise<string> {
  const created = await mkdtemp(path.join(tmpdir(), 'flinkjob-watch-'));
  context.after(() => rm(created, { recursive: true }));
  return created;
}

/** Calls of the watcher's callback, to be awaited one after the other. */
function calls(files: () => readonly string[]) {
  let arrived = 0;
  let expected = 0;
  let wake: (() => void) | undefined;
  return {
    onChange: async () => {
      arrived++;
      wake?.();
      return files();
    },
    async next(): Promise<void> {
      expected++;
      while (arrived < expected) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

test('the files are read at the start and after each save, whether written, replaced, removed or new', async (context) => {
  const job = path.join(await directory(context), 'job.yaml');
  await writeFile(job, 'one');
  const seen = calls(() => [job]);
  const stop = new AbortController();
  const watching = watchFiles([job], seen.onChange, stop.signal);
  await seen.next();
  await writeFile(job, 'changed');
  await seen.next();
  await writeFile(`${job}.new`, 'replaced');
  await rename(`${job}.new`, job);
  await seen.next();
  await rm(job);
  await seen.next();
  await writeFile(job, 'changed');
  await seen.next();
  stop.abort();
  await watching;
});

test('the files that the callback names are watched from then on, and read once more before that', async (context) => {
  const folder = await directory(context);
  const [job, module] = [path.join(folder, 'job.yaml'), path.join(folder, 'job.ts')];
  await writeFile(job, 'one');
  await writeFile(module, 'one');
  const seen = calls(() => [job, module]);
  const stop = new AbortController();
  const watching = watchFiles([job], seen.onChange, stop.signal);
  await seen.next();
  await seen.next();
  await writeFile(module, 'changed');
  await seen.next();
  stop.abort();
  await watching;
});

test('a pause ends at once when it is aborted', async () => {
  const stop = new AbortController();
  const paused = pause(1_000_000, stop.signal);
  stop.abort();
  await paused;
  await pause(1_000_000, stop.signal);
});
