import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { PlanResult } from '@flinkjob/runtime/process-config';
import { formatKey, keyOf } from '../../api/flink-job.ts';
import { localArguments } from '../../engine/engine.ts';
import { type Command, CommandFailure, exitCodes } from '../command.ts';
import { loadFlinkJobFile } from '../flink-job-file.ts';
import { formatBytes, plural } from '../format.ts';
import { renderPlan } from '../local-jobs.ts';
import { prepareWorkDirectory, workDirectoryOf, workDirectoryOptions } from '../work-directory.ts';

/** The runtime gives up on a module after 60 s; this is for one that keeps the process busy, and for storage that is slow besides. */
const answerTimeoutMs = 120_000;
/** Of a plan's answer; a job graph is small. */
const answerSizeBytesMax = 64 * 1024 * 1024;

export const plan: Command = {
  description: {
    name: 'plan',
    summary: 'Say whether a file could start, and from what state, without touching anything',
    positionals: [{ name: 'FILE', required: true, meaning: 'a FlinkJob in YAML' }],
    options: {
      ...workDirectoryOptions,
      namespace: { ...workDirectoryOptions.namespace, meaning: 'namespace, where the file names none' },
      output: { type: 'string', short: 'o', value: 'FORMAT', choices: ['json'], meaning: 'for programs' },
    },
    examples: [{ line: 'flinkjob plan examples/word-count/word-count.yaml', meaning: 'look before you save' }],
  },
  async run(parsed, output) {
    const workDirectory = workDirectoryOf(parsed);
    await prepareWorkDirectory(workDirectory);
    const loaded = await loadFlinkJobFile(parsed.positionals[0] ?? '', {
      modulesDirectory: workDirectory.modules,
      namespace: parsed.text('namespace'),
    });
    if (!loaded.ok) {
      loaded.problem.forEach(output.report);
      return exitCodes.unusable;
    }
    const process = await renderPlan(loaded.manifest);
    const result = await runPlan(process);
    if (parsed.text('output') === 'json') {
      output.print(JSON.stringify(result, null, 2));
    } else {
      const inSource = (line: string) => line.replaceAll(loaded.code.copyRoot, loaded.code.sourceRoot);
      planLines(formatKey(keyOf(loaded.manifest)), result)
        .map(inSource)
        .forEach(output.print);
    }
    return result.ok ? exitCodes.ok : exitCodes.failed;
  },
};

/** Throws when the process gives no answer, or none in time; it is ended then. */
export async function runPlan(
  rendered: Pick<Awaited<ReturnType<typeof renderPlan>>, 'nodeOptions' | 'program' | 'config' | 'args' | 'workingDirectory'>,
  timeoutMs = answerTimeoutMs,
): Promise<PlanResult> {
  const directory = await mkdtemp(path.join(tmpdir(), 'flinkjob-plan-'));
  try {
    const configPath = path.join(directory, 'config.json');
    await writeFile(configPath, JSON.stringify(rendered.config));
    const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve, reject) => {
      execFile(
        process.execPath,
        localArguments(rendered, configPath),
        { cwd: rendered.workingDirectory, maxBuffer: answerSizeBytesMax, timeout: timeoutMs, killSignal: 'SIGKILL' },
        // A plan that found problems ends with another exit code, and its answer is on standard output all the same.
        (error, out, err) => (error?.killed === true ? reject(noAnswer(timeoutMs)) : resolve({ stdout: out, stderr: err })),
      );
    });
    return parseAnswer(stdout, stderr);
  } finally {
    await rm(directory, { recursive: true });
  }
}

function noAnswer(timeoutMs: number): CommandFailure {
  return new CommandFailure(
    `the plan gave no answer within ${timeoutMs / 1000} seconds, and its process was ended`,
    'Does loading the module, or the function given to defineJob, ever end? A loop or a call that waits keeps it from answering; so does checkpoint storage that does not answer.',
  );
}

function parseAnswer(stdout: string, stderr: string): PlanResult {
  // The module may print while it is loaded; the answer is the last line that is an object.
  for (const line of [stdout, ...stdout.trimEnd().split('\n').reverse()]) {
    try {
      const value: unknown = JSON.parse(line);
      if (typeof value === 'object' && value !== null && 'ok' in value) {
        return value as PlanResult;
      }
    } catch {
      // Not the answer.
    }
  }
  throw new CommandFailure(
    `the plan gave no answer: ${stderr.trim().split('\n').slice(-5).join('\n') || 'it printed nothing'}`,
    'Does the module end its own process?',
  );
}

/** Pure. */
export function planLines(name: string, result: PlanResult): readonly string[] {
  const { problems, vertices, lineage, restore, bytesToMove, bytesToMoveBySubtask, slotsRequired } = result;
  const from =
    lineage.restorePath === undefined
      ? 'from nothing: the lineage has no completed checkpoint, or the file asks for it'
      : `from ${lineage.restorePath}${bytesToMove > 0 ? `, ${formatBytes(bytesToMove)} to read` : ''}`;
  const { import: toImport } = result;
  return [
    ...(result.ok ? [`${name} can start ${from}.`] : [`${name} cannot start:`]),
    ...(toImport === undefined || !result.ok
      ? []
      : [`Copied into the lineage first: ${plural(toImport.fileCount, 'file')}, ${formatBytes(toImport.sizeBytes)}.`]),
    ...(lineage.setsAside === undefined || !result.ok
      ? []
      : [
          `Set aside: ${lineage.setsAside}, the newest state. The job does not continue from it; flinkjob lineage lists it as long as it is kept.`,
        ]),
    ...problems.flatMap(({ code, message, remedy }) => [
      `  ${code}: ${message}`,
      ...(remedy === undefined ? [] : [`    What to do: ${remedy}`]),
    ]),
    ...(vertices.length === 0 ? [] : ['', `Vertices, ${plural(slotsRequired, 'slot')} needed:`]),
    ...vertices.map(({ name: vertex, parallelism }) => `  ${vertex}  ×${parallelism}`),
    ...(restore.length === 0 ? [] : ['', 'State:']),
    ...restore.flatMap(({ uid, action, detail, changes, bytesToMove: bytes }) => [
      `  ${action.padEnd(7)}  ${uid}${detail === '' ? '' : `: ${withoutUid(uid, detail)}`}${bytes > 0 ? `, ${formatBytes(bytes)}` : ''}`,
      ...changes.map((change) => `           ${change}`),
    ]),
    ...(bytesToMoveBySubtask.length < 2 ? [] : ['', 'To read, by subtask:']),
    ...(bytesToMoveBySubtask.length < 2 ? [] : bytesToMoveBySubtask.map(({ task, bytes }) => `  ${task}  ${formatBytes(bytes)}`)),
  ];
}

/** The runtime's sentence stands alone elsewhere and begins with the uid. */
function withoutUid(uid: string, detail: string): string {
  return detail.startsWith(`${uid}: `) ? detail.slice(uid.length + 2) : detail;
}
