import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import { ApiError } from '../../kubernetes/api-error.ts';
import { answerTimeoutMs, type Cluster } from './cluster.ts';
import { componentOf, type JobPod } from './job-objects.ts';

/** What a process in a pod answers to a GET, by way of the API server: that needs the right to get `pods/proxy`, and no way into the pods' network. */

/** Or why there is no answer. */
export type Asked<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly why: string };

/** A pod answers in milliseconds. One that a network policy keeps the API server from never does, and nobody should wait long for what is left out then. */
const reachTimeoutMs = 5_000;
/** The longest answer is the metrics of a large job. */
const answerSizeMaxBytes = 64 * 2 ** 20;

export async function askPod(
  cluster: Cluster,
  pod: JobPod,
  { portName, path }: { readonly portName: string; readonly path: string },
): Promise<Asked<string>> {
  const { name } = pod.metadata;
  const port = pod.spec?.containers?.flatMap(({ ports = [] }) => ports).find((each) => each.name === portName)?.containerPort;
  if (port === undefined) {
    return { ok: false, why: `pod ${name} has no port ${portName}` };
  }
  const prefix = `/api/v1/namespaces/${encodeURIComponent(cluster.namespace)}/pods/${encodeURIComponent(name)}:${port}/proxy`;
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), answerTimeoutMs);
  try {
    const body = await cluster.connection.open(
      { method: 'GET', path: `${prefix}${path}` },
      { timeoutMs: reachTimeoutMs, signal: limit.signal },
    );
    return { ok: true, value: await textOf(body) };
  } catch (error) {
    return { ok: false, why: reasonOf(error, { namespace: cluster.namespace, name }) };
  } finally {
    clearTimeout(timer);
  }
}

/** What the JobManager that is at work says; of several only one is ready. */
export async function askJobManager(
  cluster: Cluster,
  pods: readonly JobPod[],
  attemptToken: string | undefined,
): Promise<Asked<JobStatusDocument>> {
  const jobManager = jobManagerOf(pods);
  if (jobManager === undefined) {
    return { ok: false, why: 'no JobManager runs' };
  }
  const answer = await askPod(cluster, jobManager, { portName: 'rest', path: '/v1/status' });
  if (!answer.ok) {
    return answer;
  }
  const document = parsed(answer.value);
  if (document === undefined) {
    return { ok: false, why: `what pod ${jobManager.metadata.name} answers is no status document` };
  }
  return document.attempt.token === attemptToken
    ? { ok: true, value: document }
    : {
        ok: false,
        why: `pod ${jobManager.metadata.name} runs attempt ${document.attempt.number}, and that is not the current one`,
      };
}

/** The newest that runs. */
export function jobManagerOf(pods: readonly JobPod[]): JobPod | undefined {
  return pods.findLast(
    (pod) => componentOf(pod) === 'jobmanager' && pod.status?.phase === 'Running' && pod.metadata.deletionTimestamp === undefined,
  );
}

function parsed(text: string): JobStatusDocument | undefined {
  try {
    const document = JSON.parse(text) as JobStatusDocument;
    return document.format === 1 ? document : undefined;
  } catch {
    return undefined;
  }
}

async function textOf(body: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  for await (const part of body) {
    sizeBytes += part.length;
    if (sizeBytes > answerSizeMaxBytes) {
      throw new Error(`the answer is longer than ${answerSizeMaxBytes} bytes`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function reasonOf(error: unknown, { namespace, name }: { readonly namespace: string; readonly name: string }): string {
  if (!(error instanceof ApiError)) {
    return (error as Error).message;
  }
  if (error.status === 403) {
    return `you may not get pods/proxy in namespace ${namespace}`;
  }
  // What the API server says when it cannot connect to the pod is a 503; before that it tries for longer than anybody waits.
  return error.reason === 'Timeout' || error.status === 503
    ? `the API server does not reach pod ${name}; does a network policy keep it out?`
    : (error.said ?? error.message);
}
