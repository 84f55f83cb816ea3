import { formatKey } from '../../api/flink-job.ts';
import type { Problem } from '../../api/flink-job-status.ts';
import { asksForPurge, parseFlinkJobSpec } from '../../api/parse-flink-job.ts';
import { type Command, CommandFailure, exitCodes } from '../command.ts';
import { pause } from '../file-watch.ts';
import { openController } from '../open-controller.ts';
import {
  findController,
  getFlinkJob,
  keyFrom,
  openExistingStore,
  workDirectoryOf,
  workDirectoryOptions,
} from '../work-directory.ts';

const pollIntervalMs = 200;
/** A little more than the controller gives itself to end the processes; what the policy asks for comes before or after that. */
const waitMsMax = 75_000;

export const deleteCommand: Command = {
  description: {
    name: 'delete',
    summary: 'End a job and forget the resource; its state in checkpoint storage stays unless checkpoints.onDelete is Purge',
    details: ['Unless it was purged, applying a job of the same name again continues from its last completed checkpoint.'],
    positionals: [{ name: 'NAME', required: true, meaning: 'the job' }],
    options: { ...workDirectoryOptions, 'no-wait': { type: 'boolean', meaning: 'return as soon as the deletion is noted' } },
    examples: [{ line: 'flinkjob delete word-count', meaning: 'end it' }],
  },
  async run(parsed, output) {
    const workDirectory = workDirectoryOf(parsed);
    const store = await openExistingStore(workDirectory);
    const key = keyFrom(parsed, parsed.positionals[0] ?? '');
    const { metadata, spec } = await getFlinkJob(store, key);
    const isPurged = asksForPurge(spec);
    await store.delete(key);
    const wait = !parsed.flag('no-wait');
    if ((await findController(workDirectory)) === undefined) {
      if (!wait) {
        output.report(`${formatKey(key)} is marked for deletion. The next controller of this work directory ends its processes.`);
        return exitCodes.ok;
      }
      // Nobody else would: the processes outlive the controller that started them.
      await (await openController(workDirectory)).finishDeletion(key);
    }
    const deadlineMs = Date.now() + waitMsMax + policyTimeoutMs(spec);
    let problem: Problem | undefined;
    while (wait) {
      const left = await store.get(key);
      if (left === undefined || left.metadata.uid !== metadata.uid) {
        if (problem !== undefined) {
          throw new CommandFailure(
            `${formatKey(key)} is deleted, and its lineage in checkpoint storage may not be: ${problem.message}`,
            problem.remedy ?? 'flinkjob janitor shows what is left there.',
          );
        }
        const state = isPurged ? 'is purged' : 'stays';
        output.report(`${formatKey(key)} is deleted. Its state in checkpoint storage ${state}.`);
        return exitCodes.ok;
      }
      problem = left.status?.deletion?.purge?.problem;
      if (Date.now() > deadlineMs) {
        throw new CommandFailure(
          `${formatKey(key)} is still being deleted`,
          `flinkjob describe ${key.name} says what it waits for.`,
        );
      }
      await pause(pollIntervalMs, new AbortController().signal);
    }
    output.report(`${formatKey(key)} is marked for deletion.`);
    return exitCodes.ok;
  },
};

/** A spec that cannot be read asks for nothing that takes time. */
function policyTimeoutMs(spec: unknown): number {
  const parsed = parseFlinkJobSpec(spec);
  return parsed.ok && parsed.value.checkpoints.onDelete !== 'Retain' ? parsed.value.checkpoints.deleteTimeoutSeconds * 1000 : 0;
}
