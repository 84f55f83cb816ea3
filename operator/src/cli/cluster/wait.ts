import { CommandFailure, type CommandOutput } from '../command.ts';
import { CommandLineError, type OptionDescription, type ParsedCommandLine } from '../command-line.ts';
import { pause } from '../file-watch.ts';
import { formatDuration } from '../format.ts';
import { type Cluster, type FlinkJobObject, getFlinkJob } from './cluster.ts';

/** Waiting until the operator has done what was asked for, with what it says meanwhile. */

export const waitOptions = {
  wait: { type: 'boolean', meaning: 'return only when it is done' },
  timeout: { type: 'string', value: 'SECONDS', default: '600', meaning: 'how long to wait; what was asked for goes on' },
} as const satisfies Record<string, OptionDescription>;

/** One small request. */
const pollIntervalMs = 1000;

export async function waitFor(
  cluster: Cluster,
  {
    name,
    parsed,
    output,
    isDone,
  }: {
    readonly name: string;
    readonly parsed: ParsedCommandLine;
    readonly output: CommandOutput;
    readonly isDone: (flinkJob: FlinkJobObject) => boolean;
  },
): Promise<void> {
  const timeoutMs = timeoutMsOf(parsed);
  const startedAtMs = Date.now();
  for (let said = ''; ; ) {
    const flinkJob = await getFlinkJob(cluster, name);
    if (isDone(flinkJob)) {
      output.report(`Done after ${formatDuration(Date.now() - startedAtMs)}.`);
      return;
    }
    const news = progressOf(flinkJob);
    if (news !== said) {
      output.report(`… ${news}`);
      said = news;
    }
    if (Date.now() - startedAtMs > timeoutMs) {
      throw new CommandFailure(
        `${name} is not there after ${formatDuration(timeoutMs)}: ${news}`,
        `It goes on. kubectl flinkjob status ${name} shows what it waits for.`,
      );
    }
    await pause(pollIntervalMs, new AbortController().signal);
  }
}

/** Of this generation of the spec, and no older one. */
export function isObserved({ metadata, status }: FlinkJobObject): boolean {
  return status?.observedGeneration === metadata.generation;
}

export function isReady(flinkJob: FlinkJobObject): boolean {
  const ready = flinkJob.status?.conditions?.find(({ type }) => type === 'Ready');
  return isObserved(flinkJob) && ready?.status === 'True' && ready.observedGeneration === flinkJob.metadata.generation;
}

function progressOf(flinkJob: FlinkJobObject): string {
  const { status } = flinkJob;
  if (!isObserved(flinkJob)) {
    return 'no operator has looked at it yet';
  }
  const rollout = status?.rollout;
  const problem = rollout?.problem ?? status?.error;
  return [
    status?.state ?? 'Unknown',
    ...(rollout === undefined ? [] : [`rollout ${rollout.id} (${rollout.reason}) is in ${rollout.state}`]),
    ...(problem === undefined
      ? []
      : [`${problem.code}: ${problem.message}${problem.remedy === undefined ? '' : ` ${problem.remedy}`}`]),
  ].join(', ');
}

export function timeoutMsOf(parsed: ParsedCommandLine): number {
  const text = parsed.text('timeout') ?? waitOptions.timeout.default;
  const seconds = Number(text);
  if (!(seconds > 0)) {
    throw new CommandLineError(`flinkjob: --timeout cannot be "${text}"`, 'Give a number of seconds, such as 60.');
  }
  return seconds * 1000;
}
