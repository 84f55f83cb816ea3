/**
 * An upgrade that passes pre-flight, runs, commits output and then fails: it is rolled back by itself, to a revision that goes on from what the failed one has committed. How
 * kubectl flinkjob rolls back is in kubectl-flinkjob.test.ts.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conditionOf, JobInCluster, newestToken, podTemplate, tokenOf } from '../job-in-cluster.ts';
import { mountedModule, putModule } from '../modules.ts';
import { outputDirectory } from '../pod-run.ts';
import { Story } from '../story.ts';

const job = new JobInCluster('rollback', { recordCount: 400_000, recordsPerSecond: 500 });
const story = new Story(job);
/** More checkpoints than the failing revision lives for. */
const upgrade = { rollback: { stableCheckpoints: 5, maxRestarts: 0 } };

/** It runs well until output of its own is committed, and then throws at every record: also after the restart. */
function breakOnceCommitted(module: string): string {
  return module
    .replace('import {', "import { readdirSync } from 'node:fs';\nimport {")
    .replace(
      'const checkAndCount',
      `const committed = () => readdirSync('${outputDirectory}/${job.name}').filter((name) => name.startsWith('part-')).length;
const committedBefore = committed();
let records = 0;

const checkAndCount`,
    )
    .replace(
      'const seen =',
      `records += 1;
    if (records % 50 === 0 && committed() > committedBefore) throw new Error('version 2 breaks');
    const seen =`,
    );
}

test(
  'a job runs, and is stable',
  story.step(async () => {
    await job.apply({ upgrade });
    const { stable, revision } = await job.untilRunning();
    assert.equal(stable?.revision, revision);
    await job.untilMoreIsCommitted();
  }),
);

test(
  'a revision that fails once it runs is rolled back by itself',
  story.step(async () => {
    const first = await job.untilRunning();
    const before = newestToken(job.committed());
    const map = await putModule(job.namespace, `${job.name}-breaks`, breakOnceCommitted);
    const startedAtMs = performance.now();
    await job.apply({ upgrade, job: job.program(mountedModule), podTemplate: podTemplate(map) });
    const back = await job.untilStatus(
      'rolled back, and stable again',
      ({ rolledBack, rollout, state }) => rolledBack !== undefined && rollout === undefined && state === 'Running',
    );
    const seconds = (performance.now() - startedAtMs) / 1_000;
    assert.equal(back.revision, first.revision);
    assert.notEqual(back.rolledBack?.revision, first.revision);
    assert.deepEqual(
      back.history?.slice(0, 2).map(({ reason, outcome }) => `${reason} ${outcome}`),
      ['Rollback Completed', 'Upgrade RolledBack'],
    );
    assert.deepEqual(
      ['Ready', 'Stalled', 'RolloutProgressing', 'Running'].map((type) => conditionOf(back, type)),
      ['False RolledBack', 'True RolledBack', 'False RolledBack', 'True Running'],
    );
    await job.untilEvent('RolledBack', new RegExp(`revision ${back.rolledBack?.revision} was not stable`));
    await job.untilEvent(
      'RolloutCompleted',
      new RegExp(`revision ${first.revision} is stable as attempt ${back.attempt?.number}`),
    );
    await job.untilMoreIsCommitted();
    await job.expectExactOutput();
    const [ofFirst, ofLast] = [before[0], newestToken(job.committed())[0]];
    const ofFailed = job.committed().filter((part) => tokenOf(part)[0] > ofFirst && tokenOf(part)[0] < ofLast);
    assert.ok(ofFailed.length > 0, 'the revision that failed has committed output, from which the last one goes on');
    return `runs again after ${seconds.toFixed(1)} s, from what the failed one had committed in ${ofFailed.length} files`;
  }),
);

test(
  'a corrected one goes through, and in the end output and bucket are exact',
  story.step(async () => {
    job.hasten();
    await job.apply({ upgrade, image: 'keyed-count:2' });
    return await job.finishExactly();
  }),
);
