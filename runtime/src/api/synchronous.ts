import { invalidJob } from '../core/job-graph/invalid-job.ts';

/**
 * Refuses a function written with `async`: the engine calls and goes on, so what follows an `await` would run with the state of another key, and a promise is
 * true as a filter's answer. Types do not see it, as a promise is fine where nothing is expected, and jobs run without a type check.
 */
export function refuseAsync(given: unknown, described: string): void {
  // Its tag, not its prototype: a job module may come from another context of V8.
  if (/^\[object Async(?:Generator)?Function\]$/u.test(Object.prototype.toString.call(given))) {
    throw invalidJob(
      'FunctionAsync',
      `${described} is an async function`,
      'Leave out async and await: functions of a job are synchronous, and what comes later than their return is not waited for.',
    );
  }
}
