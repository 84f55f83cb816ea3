import { formatKey, keyOf, type StoredFlinkJob } from '../../api/flink-job.ts';
import { annotations } from '../../api/labels.ts';
import { openLocalStore } from '../../local-operator.ts';
import { type Command, exitCodes } from '../command.ts';
import { loadFlinkJobFile } from '../flink-job-file.ts';
import { findController, prepareWorkDirectory, workDirectoryOf, workDirectoryOptions } from '../work-directory.ts';

export const apply: Command = {
  description: {
    name: 'apply',
    summary: 'Create a job from a file, or change it, without watching it',
    details: ['A running `flinkjob dev` on the same work directory, whatever its file, carries it out.'],
    positionals: [{ name: 'FILE', required: true, meaning: 'a FlinkJob in YAML' }],
    options: {
      ...workDirectoryOptions,
      namespace: { ...workDirectoryOptions.namespace, meaning: 'namespace, where the file names none' },
    },
    examples: [
      { line: 'flinkjob apply examples/keyed-count/keyed-count.yaml', meaning: 'one more job beside the one that runs' },
    ],
  },
  async run(parsed, output) {
    const workDirectory = workDirectoryOf(parsed);
    await prepareWorkDirectory(workDirectory);
    const loaded = await loadFlinkJobFile(parsed.positionals[0] ?? '', {
      modulesDirectory: workDirectory.modules,
      namespace: parsed.text('namespace'),
    });
    if (!loaded.ok) {
      for (const line of loaded.problem) {
        output.report(line);
      }
      return exitCodes.unusable;
    }
    const store = openLocalStore(workDirectory.root);
    const key = keyOf(loaded.manifest);
    const before = await store.get(key);
    const after = await store.apply(loaded.manifest);
    output.print(`${formatKey(key)} ${describeApply(before, after)}`);
    if ((await findController(workDirectory)) === undefined) {
      output.report('No controller runs on this work directory yet; `flinkjob dev FILE` starts one.');
    }
    return exitCodes.ok;
  },
};

/** Pure. By what a person wrote: the controller writes to the resource at any time. */
export function describeApply(before: StoredFlinkJob | undefined, after: StoredFlinkJob): 'created' | 'configured' | 'unchanged' {
  if (before?.metadata.uid !== after.metadata.uid) {
    return 'created';
  }
  const digest = ({ metadata }: StoredFlinkJob) => metadata.annotations?.[annotations.moduleDigest];
  return before.metadata.generation === after.metadata.generation && digest(before) === digest(after)
    ? 'unchanged'
    : 'configured';
}
