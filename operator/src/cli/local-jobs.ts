import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import { type FlinkJobKey, type FlinkJobManifest, keyOf, type StoredFlinkJob } from '../api/flink-job.ts';
import { openLocalCredentials } from '../credentials/local-credentials.ts';
import type { JobClient, RenderedProcess } from '../engine/engine.ts';
import { typescriptEngine } from '../engine/typescript/typescript-engine.ts';
import { buildRevision } from '../flink-job/build-revision.ts';
import { restoreRequestOf } from '../flink-job/restore-request.ts';
import { silentLog } from '../log.ts';
import { machineClusterId } from '../platform/process/cluster-id.ts';
import { JobDirectory } from '../platform/process/job-directory.ts';
import { ProcessRecord } from '../platform/process/process-record.ts';
import { isAlive } from '../process-identity/process-identity.ts';

// What the command line sees of jobs that a controller, here or in another process, keeps running. It only looks: what the process
// platform itself offers also cleans up, and that is the controller's business.

/** Undefined while the controller knows of no JobManager that listens. */
export function jobClient(flinkJob: StoredFlinkJob, workDirectory: string): JobClient | undefined {
  const address = flinkJob.status?.jobManagerAddress;
  const credentials = openLocalCredentials(workDirectory, { log: silentLog, nowMs: Date.now });
  const caller = credentials?.callerOf({ ...keyOf(flinkJob), uid: flinkJob.metadata.uid }, 'Tool');
  return address === undefined ? undefined : typescriptEngine.client(address, caller);
}

/** What the JobManager says now; undefined when none answers. */
export async function readJobStatus(flinkJob: StoredFlinkJob): Promise<JobStatusDocument | undefined> {
  const address = flinkJob.status?.jobManagerAddress;
  const reader = address === undefined ? undefined : typescriptEngine.client(address, undefined);
  const document = await reader?.readStatus().catch(() => undefined);
  // Another job may have got the port of a JobManager that is gone.
  return document?.attempt.token === flinkJob.status?.attempt?.token ? document : undefined;
}

export interface RunningProcess {
  /** `job-manager`, `task-manager-0`. */
  readonly name: string;
  readonly pid: number;
}

/** The job's processes that live, JobManagers first. */
export async function runningProcesses(root: string, key: FlinkJobKey): Promise<readonly RunningProcess[]> {
  const directory = new JobDirectory(root, key).records;
  const files = (await readdir(directory).catch(() => [])).filter((file) => file.endsWith('.json')).sort();
  const records = await Promise.all(files.map((file) => readRecord(path.join(directory, file))));
  const alive = await Promise.all(
    records.map(async (record) => {
      const known = record?.exit === undefined ? record?.process : undefined;
      return record !== undefined && known !== undefined && (await isAlive(known))
        ? [{ name: nameOf(record), pid: known.pid }]
        : [];
    }),
  );
  return alive.flat();
}

async function readRecord(file: string): Promise<ProcessRecord | undefined> {
  try {
    return ProcessRecord.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    // Just removed, or of another version: nothing that can be shown.
    return undefined;
  }
}

function nameOf({ role, ordinal }: ProcessRecord): string {
  switch (role) {
    case 'JobManager':
      return 'job-manager';
    case 'TaskManager':
      return `task-manager-${ordinal}`;
    case 'PreFlight':
      return 'pre-flight';
    case 'Purge':
      return 'purge';
    case 'SavepointTask':
      return 'savepoint-task';
  }
}

export interface LogFile {
  /** `job-manager`, `task-manager-0`, `pre-flight`, `purge`. */
  readonly process: string;
  readonly path: string;
}

/** The job's log files; a process that was replaced goes on in the file of its predecessor. */
export async function jobLogs(root: string, key: FlinkJobKey): Promise<readonly LogFile[]> {
  const directory = new JobDirectory(root, key);
  const names = (await readdir(directory.logs).catch(() => []))
    .filter((file) => file.endsWith('.log'))
    .map((file) => file.slice(0, -'.log'.length));
  return names.sort().map((process) => ({ process, path: directory.log(process) }));
}

/** What a pre-flight of this manifest runs, and where. */
export async function renderPlan(manifest: FlinkJobManifest): Promise<RenderedProcess & { readonly workingDirectory: string }> {
  const revision = buildRevision(manifest.spec, manifest.metadata);
  const rendered = typescriptEngine.renderPreFlight({
    revision,
    restore: restoreRequestOf(manifest.spec),
    ...keyOf(manifest),
    clusterId: await machineClusterId(),
    host: '127.0.0.1',
  });
  return { ...rendered, workingDirectory: revision.workingDirectory ?? process.cwd() };
}
