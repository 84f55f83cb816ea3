import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ControlledJob, controlled, running } from '../../test/fakes/controlled-job.ts';
import { revisionWith } from '../../test/fakes/flink-job-builders.ts';
import { type Kstatus, kstatusOf } from '../../test/fakes/kstatus.ts';

// What tools that wait for resources make of ours. That no state is without an answer is checked on every step of the walks in test/simulation.

const changed = revisionWith({ job: { args: { a: 'b' } } });
const suspended = revisionWith({ job: { desiredState: 'Suspended' } });

function failing({ world }: ControlledJob, retry: 'never' | 'backoff'): void {
  for (const jobManager of world.jobManagers) {
    jobManager.state = 'Failed';
    jobManager.error = 'UserCodeFailed';
    jobManager.errorRetry = retry;
  }
}

const situations: readonly (readonly [string, Kstatus, () => ControlledJob])[] = [
  ['a job on its way to its first start', 'InProgress', () => after(controlled(), ({ controller }) => controller.run(3))],
  ['a job that runs and is stable', 'Current', () => running()],
  ['a spec that nobody has looked at', 'InProgress', () => after(running(), ({ controller }) => controller.apply(changed))],
  [
    'an upgrade under way',
    'InProgress',
    () =>
      after(running(), ({ controller }) => {
        controller.apply(changed);
        controller.run(3);
      }),
  ],
  [
    'a revision that has to become stable',
    'InProgress',
    () =>
      after(running(), ({ world, controller }) => {
        world.stuck.add(changed.name);
        controller.apply(changed);
        controller.run(14);
      }),
  ],
  [
    'a revision that cannot start',
    'Failed',
    () =>
      after(running(), ({ world, controller }) => {
        world.broken.add(changed.name);
        controller.apply(changed);
        controller.run(4);
      }),
  ],
  [
    'a revision that was rolled back',
    'Failed',
    () =>
      after(running(), ({ world, controller }) => {
        world.failing.add(changed.name);
        controller.apply(changed);
        controller.run(24);
      }),
  ],
  ['a spec that cannot be used', 'Failed', () => after(running(), ({ controller }) => invalid(controller))],
  [
    'a job that is suspended as it should be',
    'Current',
    () => after(running(), ({ controller }) => changeTo(controller, suspended)),
  ],
  [
    'a job that has finished',
    'Current',
    () =>
      after(running(), ({ world, controller }) => {
        for (const jobManager of world.jobManagers) {
          world.finish(jobManager);
        }
        controller.run(4);
      }),
  ],
  [
    'a failed job that is started again after a pause',
    'InProgress',
    () =>
      after(running(), (job) => {
        failing(job, 'backoff');
        job.controller.run(2);
      }),
  ],
  [
    'a failed job that only a person can help',
    'Failed',
    () =>
      after(running(), (job) => {
        failing(job, 'never');
        job.controller.run(2);
      }),
  ],
  [
    'a job whose TaskManager was lost',
    'InProgress',
    () =>
      after(running(), ({ world, controller }) => {
        for (const taskManager of world.taskManagers) {
          taskManager.process = { state: 'Waiting', problem: undefined };
        }
        world.progress();
        controller.pass();
      }),
  ],
  [
    'a paused job that is as its spec asks',
    'Current',
    () =>
      after(running(), ({ controller }) => {
        controller.paused = true;
        controller.run(2);
      }),
  ],
  [
    'a job that is being deleted',
    'Terminating',
    () =>
      after(running(), ({ controller }) => {
        controller.deleting = true;
        controller.pass();
      }),
  ],
];

function after(job: ControlledJob, act: (job: ControlledJob) => void): ControlledJob {
  act(job);
  return job;
}

function invalid(controller: ControlledJob['controller']): void {
  controller.applyInvalid();
  controller.run(2);
}

function changeTo(controller: ControlledJob['controller'], revision: ReturnType<typeof revisionWith>): void {
  controller.apply(revision);
  controller.run(8);
}

for (const [what, expected, make] of situations) {
  test(`${what} is ${expected}`, () => {
    assert.equal(kstatusOf(make().controller), expected);
  });
}
