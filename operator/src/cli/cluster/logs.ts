import { ApiError } from '../../kubernetes/api-error.ts';
import { containerName } from '../../platform/kubernetes/names.ts';
import { containerOf } from '../../platform/kubernetes/pod-state.ts';
import { CommandFailure, type CommandOutput, exitCodes } from '../command.ts';
import { pause } from '../file-watch.ts';
import { readableLogLine } from '../log-line.ts';
import { nearest } from '../nearest.ts';
import { answerTimeoutMs, type Cluster, type FlinkJobObject, getFlinkJob } from './cluster.ts';
import { clusterCommand } from './cluster-command.ts';
import { type JobPod, podsOf, processNameOf } from './job-objects.ts';

/** While following: how often to look for pods that have come. */
const podsIntervalMs = 2000;
/** The longest line that is kept whole; a process that prints no newline must not fill the memory. */
const lineLengthMax = 1024 * 1024;

export const logs = clusterCommand(
  {
    name: 'logs',
    summary: 'Show what the JobManager and the TaskManagers of a job wrote',
    positionals: [
      { name: 'NAME', required: true, meaning: 'the job' },
      {
        name: 'PROCESS',
        required: false,
        meaning: "job-manager, task-manager, pre-flight, or one of them with the end of its pod's name, or a pod; all without it",
      },
    ],
    options: {
      follow: { type: 'boolean', short: 'f', meaning: 'go on as more is written, also by pods that come later' },
      tail: { type: 'string', value: 'N', meaning: 'only the last N lines of each' },
      previous: { type: 'boolean', short: 'p', meaning: 'of the containers before the last restart' },
      output: {
        type: 'string',
        short: 'o',
        value: 'FORMAT',
        choices: ['json'],
        meaning: 'the lines as they were written, for programs',
      },
    },
    examples: [
      { line: 'flinkjob logs word-count -f', meaning: 'all processes, each line with its process before it' },
      { line: 'flinkjob logs word-count job-manager --tail 50', meaning: 'the last lines of the JobManager' },
    ],
  },
  async (cluster, parsed, output) => {
    const tail = parsed.text('tail');
    if (tail !== undefined && !/^\d+$/.test(tail)) {
      throw new CommandFailure(`--tail cannot be "${tail}"`, 'Give a number of lines, such as 50.');
    }
    const [name = '', wanted] = parsed.positionals;
    const flinkJob = await getFlinkJob(cluster, name);
    const request: LogRequest = {
      ...{ cluster, output, tail, isRaw: parsed.text('output') === 'json' },
      follow: parsed.flag('follow'),
      previous: parsed.flag('previous'),
    };
    const pods = selectPods(await podsOf(cluster, flinkJob), wanted);
    if (pods.length === 0 && !(request.follow && wanted === undefined)) {
      throw noPods(await podsOf(cluster, flinkJob), name, wanted);
    }
    const isOfMany = pods.length !== 1;
    if (request.follow) {
      await followAll(request, { flinkJob, wanted });
    } else {
      for (const pod of pods) {
        await printLog(request, pod, { isOfMany, isAgain: false });
      }
    }
    return exitCodes.ok;
  },
);

interface LogRequest {
  readonly cluster: Cluster;
  readonly output: CommandOutput;
  readonly tail: string | undefined;
  readonly isRaw: boolean;
  readonly follow: boolean;
  readonly previous: boolean;
}

function noPods(pods: readonly JobPod[], name: string, wanted: string | undefined): CommandFailure {
  const names = pods.map(processNameOf);
  if (wanted === undefined || names.length === 0) {
    return new CommandFailure(`${name} has no pods now`, `kubectl flinkjob status ${name} says why.`);
  }
  const near = nearest(wanted, names);
  return new CommandFailure(
    `${name} has no process ${wanted}`,
    near === undefined ? `There are: ${names.join(', ')}.` : `Did you mean ${near}?`,
  );
}

/** Pure. `jobmanager` and `taskmanager` are what people type after years with Flink. */
function selectPods(pods: readonly JobPod[], wanted: string | undefined): readonly JobPod[] {
  if (wanted === undefined) {
    return pods;
  }
  const plain = (name: string) =>
    name.toLowerCase().replaceAll('-', '').replace(/^jm/, 'jobmanager').replace(/^tm/, 'taskmanager');
  const exact = pods.filter((pod) => pod.metadata.name === wanted || plain(processNameOf(pod)) === plain(wanted));
  return exact.length > 0 ? exact : pods.filter((pod) => plain(processNameOf(pod)).startsWith(plain(wanted)));
}

/** Until somebody ends it: a pod that is replaced is followed by the one that replaces it. */
async function followAll(
  request: LogRequest,
  { flinkJob, wanted }: { readonly flinkJob: FlinkJobObject; readonly wanted: string | undefined },
): Promise<void> {
  const followed = new Map<string, Promise<void>>();
  const seen = new Set<string>();
  let failure: unknown;
  while (failure === undefined) {
    for (const pod of selectPods(await podsOf(request.cluster, flinkJob), wanted)) {
      const uid = pod.metadata.uid ?? '';
      // One life of a container at a time; whether a restart brought another is what the count says.
      const life = `${uid} ${containerOf(pod)?.restartCount ?? 0}`;
      if (hasStarted(pod) && !seen.has(life) && !followed.has(uid)) {
        const isAgain = [...seen].some((known) => known.startsWith(uid));
        seen.add(life);
        const printed = printLog(request, pod, { isOfMany: true, isAgain }).catch((error: unknown) => {
          failure = error;
        });
        followed.set(
          uid,
          printed.finally(() => followed.delete(uid)),
        );
      }
    }
    await pause(podsIntervalMs, new AbortController().signal);
  }
  throw failure;
}

function hasStarted(pod: JobPod): boolean {
  const state = containerOf(pod)?.state;
  return state?.running !== undefined || state?.terminated !== undefined;
}

async function printLog(
  request: LogRequest,
  pod: JobPod,
  { isOfMany, isAgain }: { readonly isOfMany: boolean; readonly isAgain: boolean },
): Promise<void> {
  const process = processNameOf(pod);
  const { cluster, output, isRaw } = request;
  const prefix = isOfMany && !isRaw ? `${process} | ` : '';
  try {
    for await (const line of logLines(cluster, pod, { ...request, tail: isAgain ? undefined : request.tail })) {
      (isRaw ? [line] : readableLogLine(line, process)).map((text) => `${prefix}${text}`).forEach(output.print);
    }
  } catch (error) {
    // One pod that has not begun or is just gone must not hide the logs of the others.
    if (!(error instanceof ApiError && (error.status === 400 || error.status === 404))) {
      throw error;
    }
    output.report(`${process}: no log (${error.said ?? error.message})`);
  }
}

/** As the kubelet hands them out. Ends with the container, or with what is there. */
export async function* logLines(
  cluster: Cluster,
  pod: JobPod,
  options: {
    readonly follow?: boolean;
    readonly previous?: boolean;
    readonly tail?: string | undefined;
    readonly limitBytes?: number;
    /** The one that runs the job unless another is named. */
    readonly container?: string;
  },
): AsyncGenerator<string> {
  const { name } = pod.metadata;
  const body = await cluster.connection.open(
    {
      method: 'GET',
      path: `/api/v1/namespaces/${encodeURIComponent(cluster.namespace)}/pods/${encodeURIComponent(name)}/log`,
      query: {
        container: options.container ?? containerName,
        follow: options.follow === true ? 'true' : undefined,
        previous: options.previous === true ? 'true' : undefined,
        tailLines: options.tail,
        limitBytes: options.limitBytes === undefined ? undefined : String(options.limitBytes),
      },
    },
    { timeoutMs: answerTimeoutMs, signal: new AbortController().signal },
  );
  const decoder = new TextDecoder();
  let partial = '';
  for await (const chunk of body) {
    const lines = (partial + decoder.decode(chunk, { stream: true })).split('\n');
    partial = lines.pop() ?? '';
    if (partial.length > lineLengthMax) {
      lines.push(partial);
      partial = '';
    }
    yield* lines.map((line) => line.replace(/\r$/, ''));
  }
  if (partial !== '') {
    yield partial;
  }
}
