import { test } from 'node:test';
import { measureFlinkJobs } from '../../../hack/bench/thousand-jobs/measure-thousand-jobs.ts';
import { assertWithin } from '../../../hack/bench/thousand-jobs/ranges.ts';

// The benchmark of a thousand FlinkJobs in its shortest form: what does not depend on how quick the machine is, memory and requests, is held to its range.

test('FlinkJobs at rest cost the API server next to no requests, a change only so many, and the operator stays within its memory', async ({
  signal,
}) => {
  const short = { flinkJobCount: 20, restMs: 15_000, changeCount: 5, handsOver: false, asInPod: false };
  const result = await measureFlinkJobs({ ...short, signal });
  // One record of a checkpoint in these few seconds is 0.3 already; without mirrors it was more than 50.
  // Of five changes the slowest one; a watch may have been taken up again just then.
  const slowest = { changeToActionP99Ms: 60_000, hurriedChangeToActionP99Ms: 60_000 };
  assertWithin(result, { ...slowest, apiRequestsPerSecondPer100Jobs: 2 });
});
