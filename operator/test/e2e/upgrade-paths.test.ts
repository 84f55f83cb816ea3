/**
 * The ways that an upgrade can take, with real processes, and what is committed in the end counted record by record: it fails in each
 * mode and is rolled back; at each of its steps it is overtaken by another spec, by suspending, by the spec before it, or by a deletion.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { FlinkJobSpecInput } from '../../src/api/flink-job-spec.ts';
import type { FlinkJobStatus } from '../../src/api/flink-job-status.ts';
import { assertBegunAnew, assertEachKeyCountedOnce, committedCount } from './counted-lines.ts';
import { jobModule } from './job-under-test.ts';
import { ScriptedChanges } from './scripted-changes.ts';

/** At the slow rate that is a quarter of an hour: a test decides when its job ends, by asking for `quick`. */
const count = 36_000;
const slowRate = '40';
const good = jobModule('keyed-count.ts');
const steps = ['PreFlight', 'Stopping', 'Starting', 'Stabilizing'] as const;
/** One is enough where it is not about what is stable. */
const rollback = { stableCheckpoints: 1 };

function jobOf(
  scene: ScriptedChanges,
  version: number,
  more: Partial<FlinkJobSpecInput['job']> & { readonly quick?: boolean } = {},
): FlinkJobSpecInput['job'] {
  const { quick, ...rest } = more;
  const args = { seed: '7', count: String(count), out: scene.outputDirectory, version: String(version) };
  return { module: good, args: { ...args, recordsPerSecond: quick ? '100000' : slowRate }, ...rest };
}

/** The job as it is, but for an operator that throws once that file is there. */
function moduleThatThrowsFor(scene: ScriptedChanges, name: string): { readonly module: string; readonly trigger: string } {
  const module = join(scene.directory, `${name}.ts`);
  const trigger = join(scene.directory, `${name}.trigger`);
  const text = readFileSync(good, 'utf8');
  const place = 'const before =';
  assert.ok(text.includes(place));
  const throwing = `if (existsSync(${JSON.stringify(trigger)})) throw new Error('${name} is broken');\n    ${place}`;
  writeFileSync(module, `import { existsSync } from 'node:fs';\n${text.replace(place, throwing)}`);
  return { module, trigger };
}

function outcomes({ history = [] }: FlinkJobStatus): readonly string[] {
  return history.map(({ reason, outcome }) => `${reason} ${outcome}`);
}

async function assertFinishesExactly(scene: ScriptedChanges, spec: Parameters<ScriptedChanges['apply']>[0]): Promise<void> {
  await scene.apply(spec);
  await scene.untilStatus('finished', ({ state }) => state === 'Finished');
  assertEachKeyCountedOnce(scene.outputDirectory, count);
}

// Two at a time: each spends half of its time waiting for its next checkpoint.
describe('an upgrade', { concurrency: 2 }, () => {
  test('that has committed output and then fails is rolled back to what it had completed, with modes Savepoint and LastState, and a good one goes on from there', async (t) => {
    const scene = await ScriptedChanges.open(t);
    await scene.apply({ job: jobOf(scene, 1), upgrade: { rollback } });
    const first = await scene.untilStable('the first revision is stable');
    for (const mode of ['Savepoint', 'LastState'] as const) {
      const { module, trigger } = moduleThatThrowsFor(scene, mode);
      // More checkpoints than the broken revision lives to see.
      const upgrade = { mode, rollback: { maxRestarts: 1, stableCheckpoints: 100 } };
      await scene.apply({ job: jobOf(scene, 2, { module, parallelism: 2 }), upgrade });
      await scene.untilStatus('a checkpoint of the broken one', (status) => completed(status, 'Upgrade') > 0);
      // The restored committables are committed before it runs: what comes now is its own.
      const before = committedCount(scene.outputDirectory);
      await scene.until('output of the broken one', () => committedCount(scene.outputDirectory) > before);
      writeFileSync(trigger, '');

      // By the same spec.upgrade it would have to complete a hundred checkpoints, too: the next spec does not wait for them.
      const back = await scene.untilStatus('on the way back', (status) => completed(status, 'Rollback') > 0);
      assert.equal(back.revision, first.revision);
      assert.match(back.rolledBack?.problem.message ?? '', new RegExp(`it restarted \\d+ times .*${mode} is broken`));
      assert.equal(outcomes(back)[0], 'Upgrade RolledBack');
    }
    await assertFinishesExactly(scene, { job: jobOf(scene, 3, { quick: true, parallelism: 2 }), upgrade: { rollback } });
    assert.deepEqual(scene.stopModes('Upgrade'), ['Savepoint', 'Cancel', 'Savepoint']);
  });

  test('with mode Stateless begins from nothing, and so does what takes the place of a broken one', async (t) => {
    const scene = await ScriptedChanges.open(t);
    await scene.apply({ job: jobOf(scene, 1), upgrade: { rollback } });
    const first = await scene.untilStable('the first revision is stable');
    await scene.until('output of the first', () => committedCount(scene.outputDirectory) > 0);
    const { module, trigger } = moduleThatThrowsFor(scene, 'Stateless');
    writeFileSync(trigger, '');
    const upgrade = { mode: 'Stateless', rollback: { maxRestarts: 1 } } as const;
    await scene.apply({ job: jobOf(scene, 2, { module }), upgrade });
    const back = await scene.untilStatus(
      'rolled back',
      ({ rolledBack, rollout }) => rolledBack !== undefined && rollout === undefined,
    );
    assert.equal(back.revision, first.revision);
    assert.deepEqual(outcomes(back).slice(0, 2), ['Rollback Completed', 'Upgrade RolledBack']);

    await scene.apply({ job: jobOf(scene, 3, { quick: true }), upgrade: { rollback } });
    await scene.untilStatus('finished', ({ state }) => state === 'Finished');
    assert.ok(assertBegunAnew(scene.outputDirectory, count) > 0);
  });

  test('is overtaken at each of its steps, by another spec and by suspending, and no record is lost or doubled', async (t) => {
    const scene = await ScriptedChanges.open(t);
    const upgrade = { rollback };
    let version = 1;
    await scene.apply({ job: jobOf(scene, version), upgrade });
    await scene.untilStable('the first revision is stable');
    for (const step of steps) {
      const another = version + 2;
      scene.when(step, () => scene.apply({ job: jobOf(scene, another), upgrade }));
      await scene.apply({ job: jobOf(scene, version + 1), upgrade });
      const overtaken = await scene.untilStable(`overtaken in ${step} by another`);
      assert.equal(await scene.presentVersion(), another);
      assert.match(outcomes(overtaken)[1] ?? '', / Superseded$/, step);
      version = another;

      scene.when(step, () => scene.apply({ job: jobOf(scene, version, { desiredState: 'Suspended' }), upgrade }));
      await scene.apply({ job: jobOf(scene, version + 1), upgrade });
      await scene.untilStatus(`suspended in ${step}`, ({ state, rollout }) => state === 'Suspended' && rollout === undefined);
      await scene.apply({ job: jobOf(scene, version), upgrade });
      await scene.untilStable('resumed');
      assert.equal(await scene.presentVersion(), version);
    }
    await assertFinishesExactly(scene, { job: jobOf(scene, version + 1, { quick: true }), upgrade });
  });

  test('from the last checkpoint is taken back at each of its steps, and no record is lost or doubled', async (t) => {
    const scene = await ScriptedChanges.open(t);
    const upgrade = { mode: 'LastState', rollback } as const;
    await scene.apply({ job: jobOf(scene, 1), upgrade });
    const first = await scene.untilStable('the first revision is stable');
    for (const step of steps) {
      scene.when(step, () => scene.apply({ job: jobOf(scene, 1), upgrade }));
      await scene.apply({ job: jobOf(scene, 2), upgrade });
      const back = await scene.untilStable(`taken back in ${step}`);
      assert.equal(back.revision, first.revision);
    }
    await assertFinishesExactly(scene, { job: jobOf(scene, 2, { quick: true }), upgrade });
    assert.deepEqual([...new Set(scene.stopModes('Upgrade'))], ['Cancel']);
  });

  test('during which the job is deleted leaves everything to the next of its name, at each step', async (t) => {
    const scene = await ScriptedChanges.open(t);
    const upgrade = { rollback };
    const cases = [
      ...steps.map((step) => ({ step, onDelete: 'Savepoint' as const })),
      ...(['Stopping', 'Starting'] as const).map((step) => ({ step, onDelete: 'Retain' as const })),
    ];
    for (const { step, onDelete } of cases) {
      const checkpoints = { intervalSeconds: 0.25, onDelete };
      await scene.apply({ job: jobOf(scene, 1), checkpoints, upgrade });
      await scene.untilStable(`stable before ${step}`);
      scene.when(step, () => scene.markForDeletion());
      await scene.apply({ job: jobOf(scene, 2), checkpoints, upgrade });
      await scene.until(`gone in ${step} with ${onDelete}`, (job) => job === undefined);
    }
    await assertFinishesExactly(scene, { job: jobOf(scene, 3, { quick: true }), upgrade });
  });

  test('during which the job is deleted with Purge leaves one entry of its lineage, at each step', async (t) => {
    const scene = await ScriptedChanges.open(t);
    const specOf = (version: number) => ({
      job: jobOf(scene, version),
      checkpoints: { intervalSeconds: 0.25, onDelete: 'Purge' as const },
      upgrade: { rollback },
    });
    for (const step of steps) {
      const before = committedCount(scene.outputDirectory);
      await scene.apply(specOf(1));
      await scene.untilStable(`stable before ${step}`);
      await scene.until('it writes', () => committedCount(scene.outputDirectory) > before);
      scene.when(step, () => scene.markForDeletion());
      await scene.apply(specOf(2));
      await scene.until(`gone in ${step}`, (job) => job === undefined);
      const files = scene.files();
      assert.equal(files.length, 1, `${step}: ${files}`);
      assert.deepEqual(
        scene.lineage().map(({ type }) => type),
        ['Purged'],
      );
    }
  });
});

/** Of such a rollout, if it is under way, since its revision runs. */
function completed({ rollout }: FlinkJobStatus, reason: 'Upgrade' | 'Rollback'): number {
  return rollout?.reason === reason ? (rollout.completedCheckpoints ?? 0) : 0;
}
