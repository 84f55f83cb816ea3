import { randomUUID } from 'node:crypto';
import { keyOf, type StoredFlinkJob } from '../../api/flink-job.ts';
import { parseFlinkJobSpec } from '../../api/parse-flink-job.ts';
import type { LocalOperator } from '../../local-operator.ts';
import type { FlinkJobStore } from '../../store/flink-job-store.ts';
import { type Command, CommandFailure, exitCodes } from '../command.ts';
import { DevSession } from '../dev/dev-session.ts';
import { type Display, liveDisplay, plainDisplay } from '../dev/display.ts';
import { listenForInterrupts } from '../dev/interrupts.ts';
import { JobOutput } from '../dev/job-output.ts';
import { startCommandOf } from '../dev/things-to-try.ts';
import { loadFlinkJobFile } from '../flink-job-file.ts';
import { formatAge } from '../format.ts';
import { wantsColour } from '../live-view/style.ts';
import { jobLogs, readJobStatus, runningProcesses } from '../local-jobs.ts';
import { pruneModuleCopies } from '../module-copy.ts';
import { openController } from '../open-controller.ts';
import {
  findController,
  prepareWorkDirectory,
  type WorkDirectory,
  workDirectoryOf,
  workDirectoryOptions,
} from '../work-directory.ts';

export const dev: Command = {
  description: {
    name: 'dev',
    summary: 'Run a FlinkJob file on this machine, and apply each save',
    details: [
      'Runs the controller of a cluster over local processes. Each save of the file, or of a code file of its job, is an apply.',
      'Ctrl-C stops the job with a savepoint; running the same command again continues from it. A second Ctrl-C leaves at once.',
    ],
    positionals: [{ name: 'FILE', required: true, meaning: 'a FlinkJob in YAML' }],
    options: {
      ...workDirectoryOptions,
      namespace: { ...workDirectoryOptions.namespace, meaning: 'namespace, where the file names none' },
      fresh: { type: 'boolean', meaning: 'start from nothing, once: leave the state of earlier runs behind' },
      plain: { type: 'boolean', meaning: 'plain lines instead of the live view; the default when the output is no terminal' },
    },
    examples: [
      { line: 'flinkjob dev examples/word-count/word-count.yaml', meaning: 'a first job' },
      { line: 'flinkjob dev job.yaml --fresh', meaning: 'forget what was counted before' },
      { line: 'flinkjob dev job.yaml --work-dir /tmp/second', meaning: 'a second session beside the first' },
    ],
  },
  async run(parsed, output) {
    const fileName = parsed.positionals[0] ?? '';
    const workDirectory = workDirectoryOf(parsed);
    await prepareWorkDirectory(workDirectory);
    const load = () =>
      loadFlinkJobFile(fileName, { modulesDirectory: workDirectory.modules, namespace: parsed.text('namespace') });
    const file = await load();
    if (!file.ok) {
      file.problem.forEach(output.report);
      return exitCodes.unusable;
    }
    const operator = await openOperator(workDirectory);
    const key = keyOf(file.manifest);
    const before = await operator.store.get(key);
    await pruneModuleCopies(workDirectory.modules, [file.manifest.spec.job.module, ...(await modulesInUse(operator.store))]);
    const notices = [
      ...(parsed.flag('fresh') ? freshNotice(file.manifest.spec.state.checkpointStorage, before) : []),
      ...(file.code.inPlaceBecause === undefined
        ? []
        : [`The module runs in place, not as a copy, because ${file.code.inPlaceBecause}: save it only when it is complete.`]),
    ];
    notices.forEach(output.report);
    const live = process.stdout.isTTY && !parsed.flag('plain') && process.env['TERM'] !== 'dumb';
    const jobOutput = new JobOutput(key, () => jobLogs(workDirectory.root, key));
    const session = new DevSession(
      file,
      {
        store: operator.store,
        runController: (signal) => operator.run(signal),
        readJobStatus,
        processes: () => runningProcesses(workDirectory.root, key),
        killProcesses: (flinkJob) => killProcesses(operator, flinkJob),
        readOutput: () => jobOutput.read(),
        loadFile: load,
        display: live ? openLiveDisplay(output.print) : plainDisplay(output.print),
        nextSignal: listenForInterrupts({ keyboard: live ? process.stdin : undefined }),
      },
      {
        fileName,
        startCommand: startCommandOf(process.env, fileName),
        freshToken: parsed.flag('fresh') ? `fresh-${randomUUID()}` : undefined,
      },
    );
    return session.run();
  },
};

/** Holds the work directory until this process ends. */
async function openOperator(workDirectory: WorkDirectory): Promise<LocalOperator> {
  const holder = await findController(workDirectory);
  if (holder !== undefined) {
    throw new CommandFailure(
      `process ${holder.pid} already runs the jobs of ${workDirectory.root}`,
      'Stop it with Ctrl-C, hand it one more job with `flinkjob apply FILE`, or take another directory with --work-dir DIR.',
    );
  }
  return openController(workDirectory);
}

/** By force, and at once: the state is what the last completed checkpoint says. */
async function killProcesses(operator: LocalOperator, flinkJob: StoredFlinkJob): Promise<void> {
  const { uid } = flinkJob.metadata;
  await operator.platform.terminate(
    { ...keyOf(flinkJob), uid },
    { operationId: `leave-${randomUUID()}`, graceMs: 0, which: { type: 'All' } },
  );
}

/** Modules that a process of an earlier session may be running, or that a rollback would start again. */
async function modulesInUse(store: FlinkJobStore): Promise<readonly string[]> {
  const modules: string[] = [];
  for (const flinkJob of await store.list()) {
    const kept = await store.listRevisions(keyOf(flinkJob), flinkJob.metadata.uid);
    modules.push(...kept.map(({ revision }) => revision.spec.job.module));
    const spec = parseFlinkJobSpec(flinkJob.spec);
    modules.push(...(spec.ok ? [spec.value.job.module] : []));
  }
  return modules;
}

function freshNotice(checkpointStorage: string, before: StoredFlinkJob | undefined): readonly string[] {
  const last = before?.status?.lastCheckpoint;
  const left =
    last === undefined
      ? `Whatever state it has in ${checkpointStorage} is left behind`
      : `Its state until now (${last.kind.toLowerCase()} ${last.id}, ${formatAge(Date.now() - Date.parse(last.completedTime))} old, ${last.path} in ${checkpointStorage}) is left behind`;
  return [
    '--fresh: the job starts from nothing.',
    `${left}: savepoints stay, checkpoints go as newer ones are completed.`,
    'The next start without --fresh continues from the new state.',
  ];
}

function openLiveDisplay(print: (line: string) => void): Display {
  const display = liveDisplay(process.stdout, { colour: wantsColour(process.env, true), print });
  // Whatever ends this process, the terminal is given back.
  process.on('exit', () => display.close());
  return display;
}
