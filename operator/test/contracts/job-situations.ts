import { type ControlledJob, controlled, running } from '../fakes/controlled-job.ts';
import { revisionWith } from '../fakes/flink-job-builders.ts';
import type { Kstatus } from '../fakes/kstatus.ts';

/** What a FlinkJob may be in, and what kstatus makes of it. Whatever judges the health of a FlinkJob is held to this table. */

const changed = revisionWith({ job: { args: { a: 'b' } } });
const suspended = revisionWith({ job: { desiredState: 'Suspended' } });

function failing({ world }: ControlledJob, retry: 'never' | 'backoff'): void {
  for (const jobManager of world.jobManagers) {
    jobManager.state = 'Failed';
    jobManager.error = 'UserCodeFailed';
    jobManager.errorRetry = retry;
  }
}

/** Each is one that its controller has looked at, unless it says otherwise. */
export interface JobSituation {
  readonly what: string;
  readonly expected: Kstatus;
  readonly make: () => ControlledJob;
}

const table: readonly (readonly [string, Kstatus, () => ControlledJob])[] = [
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
    'a paused job whose spec asks for something else',
    'InProgress',
    () =>
      after(running(), ({ controller }) => {
        controller.paused = true;
        controller.apply(changed);
        controller.run(2);
      }),
  ],
  [
    'a suspended job that is to run once it is no longer paused',
    'InProgress',
    () =>
      after(running(), ({ controller }) => {
        changeTo(controller, suspended);
        controller.paused = true;
        controller.apply(revisionWith());
        controller.run(2);
      }),
  ],
  [
    'a job that has been suspended from its first day',
    'Current',
    () => after(controlled(suspended), ({ controller }) => controller.run(3)),
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

export const jobSituations: readonly JobSituation[] = table.map(([what, expected, make]) => ({ what, expected, make }));
