import { formatKey } from '../../api/flink-job.ts';
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
/** A little more than the controller gives itself. */
const waitMsMax = 75_000;

export const deleteCommand: Command = {
  description: {
    name: 'delete',
    summary: 'End a job and forget the resource; its state in checkpoint storage stays',
    details: ['Applying a job of the same name again continues from its last completed checkpoint.'],
    positionals: [{ name: 'NAME', required: true, meaning: 'the job' }],
    options: { ...workDirectoryOptions, 'no-wait': { type: 'boolean', meaning: 'return as soon as the deletion is noted' } },
    examples: [{ line: 'flinkjob delete word-count', meaning: 'end it' }],
  },
  async run(parsed, output) {
    const workDirectory = workDirectoryOf(parsed);
    const store = await openExistingStore(workDirectory);
    const key = keyFrom(parsed, parsed.positionals[0] ?? '');
    const { metadata } = await getFlinkJob(store, key);
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
    const deadlineMs = Date.now() + waitMsMax;
    while (wait) {
      const left = await store.get(key);
      if (left === undefined || left.metadata.uid !== metadata.uid) {
        output.report(`${formatKey(key)} is deleted. Its state in checkpoint storage stays.`);
        return exitCodes.ok;
      }
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
