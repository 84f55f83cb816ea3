/**
 * Upgrades that cannot work, of a job that runs: pre-flight refuses each by name, in the conditions and in an event, and the job is not touched. One that starts and then
 * fails is in rollback.test.ts, one for which there is no room in quota.test.ts.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conditionOf, JobInCluster, podTemplate } from '../job-in-cluster.ts';
import { mountedModule, putModule } from '../modules.ts';
import { Story } from '../story.ts';

const job = new JobInCluster('refusals', { recordCount: 400_000, recordsPerSecond: 500 });
const story = new Story(job);
let untouched: object;

interface BadUpgrade {
  readonly what: string;
  readonly code: string;
  readonly says: RegExp;
  /** Of the spec. */
  readonly change: () => Promise<Readonly<Record<string, unknown>>>;
}

/** The example with `text` in place of `instead`. */
async function changedModule(name: string, text: string, instead: string): Promise<Readonly<Record<string, unknown>>> {
  const map = await putModule(job.namespace, `${job.name}-${name}`, (module) => module.replaceAll(text, instead));
  return { job: job.program(mountedModule), podTemplate: podTemplate(map) };
}

const badUpgrades: readonly BadUpgrade[] = [
  {
    what: 'an image that is not there',
    code: 'ImagePullFailed',
    says: /image no-such-image:1 .* cannot be had/,
    change: async () => ({ image: 'no-such-image:1' }),
  },
  {
    what: 'an image without the runtime',
    code: 'PreFlightFailed',
    says: /of image flinkjob\/s3-server:1 ended without an answer. spec.image must be made from the runtime image/,
    change: async () => ({ image: 'flinkjob/s3-server:1' }),
  },
  {
    what: 'a module that throws when it is loaded',
    code: 'ModuleFailed',
    says: /version 2 cannot be loaded/,
    change: () => changedModule('throws', 'export default', "throw new Error('version 2 cannot be loaded');\nexport default"),
  },
  {
    what: 'a state of another type',
    code: 'StateTypeChanged',
    says: /count/,
    change: () => changedModule('retyped', 'state.value(t.int)', 'state.value(t.string)'),
  },
  {
    what: 'a graph without an operator that has state',
    code: 'OperatorMissingInJob',
    says: /counts/,
    change: () => changedModule('renamed', "uid: 'counts'", "uid: 'tallies'"),
  },
];

test(
  'a job runs, and is stable',
  story.step(async () => {
    await job.apply();
    await job.untilRunning();
    await job.untilMoreIsCommitted();
    untouched = await job.whatRuns();
  }),
);

for (const { what, code, says, change } of badUpgrades) {
  test(
    `${what} is refused by name, and the job goes on untouched`,
    story.step(async () => {
      const startedAtMs = performance.now();
      await job.apply(await change());
      const refused = await job.untilBlocked(code);
      const seconds = (performance.now() - startedAtMs) / 1_000;
      assert.match(`${refused.error?.message}. ${refused.error?.remedy}`, says);
      assert.deepEqual(
        ['Stalled', 'RolloutProgressing', 'Running'].map((type) => conditionOf(refused, type)),
        [`True ${code}`, 'False Blocked', 'True Running'],
      );
      await job.untilEvent('RolloutBlocked', says);
      await job.untilMoreIsCommitted();
      assert.deepEqual(await job.whatRuns(), untouched);
      return `${code} after ${seconds.toFixed(1)} s`;
    }),
  );
}

test(
  'what it has committed meanwhile is exact',
  story.step(async () => await job.expectExactOutput()),
);

test(
  'a good spec goes through after all of them, and in the end output and bucket are exact',
  story.step(async () => {
    job.hasten();
    await job.apply({ image: 'keyed-count:2' });
    return await job.finishExactly();
  }),
);
