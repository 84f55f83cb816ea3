import { Console } from 'node:console';
import { randomUUID } from 'node:crypto';
import {
  exitCodes,
  JobManagerProcessConfig,
  type PlanProblem,
  type PlanResult,
  TaskManagerProcessConfig,
} from '../api/process-config.ts';
import { openCheckpointStorage, openStorageAt } from '../checkpoint-storage/open-checkpoint-storage.ts';
import { probeStorage } from '../checkpoint-storage/probe-storage.ts';
import { namedFiles } from '../core/checkpoint/relocate-manifest.ts';
import { type ErrorInfo, toErrorInfo } from '../core/job-error.ts';
import type { JobGraph } from '../core/job-graph/job-graph.ts';
import { keepsState, statefulOperators } from '../core/job-graph/stateful-operators.ts';
import type { CheckpointRecord } from '../core/lineage/entries.ts';
import { lineageRules } from '../core/lineage/lineage-rules.ts';
import { directoryOfManifest } from '../core/lineage/object-paths.ts';
import type { LineageView } from '../core/lineage/view.ts';
import type { RestoreLine } from '../core/restore/check-compatibility.ts';
import { slotsRequired } from '../core/scheduling/slot-assignment.ts';
import { bringJobModule } from '../job-loading/bring-job-module.ts';
import { jobGraphHash } from '../job-loading/job-graph-hash.ts';
import { loadJob } from '../job-loading/load-job.ts';
import { LineageLog } from '../job-manager/lineage-log.ts';
import { allowedStateChanges, openRequest } from '../job-manager/open-lineage.ts';
import { proveManifest, proveRestorable, type Restorable } from '../job-manager/prove-restorable.ts';
import type { Log } from '../log.ts';
import { type CheckpointSource, openCheckpointSource, stateToImport } from '../savepoint-transfer/checkpoint-source.ts';
import { loadNativeBinding } from '../state-backend/rocksdb/native-loader.ts';
import { systemClock } from '../system-clock.ts';
import { processMemory, slotThreadCount } from '../task-manager/process-memory.ts';
import { readProcessConfig } from './read-process-config.ts';
import { writeResultFile } from './result-file.ts';

/** `plan` reads less than a JobManager, and may be given the JobManager's whole file; and what the TaskManagers will have, where that is known. */
export const PlanProcessConfig = JobManagerProcessConfig.partial({
  revision: true,
  attempt: true,
  podUid: true,
  checkpoints: true,
  restartStrategy: true,
  heartbeat: true,
  rest: true,
  rpc: true,
  addressFile: true,
}).extend({ taskManager: TaskManagerProcessConfig.pick({ slots: true, memorySizeBytes: true }).optional() });
type PlanProcessConfig = typeof PlanProcessConfig._output;

const nothing: PlanResult = {
  ok: false,
  problems: [],
  jobGraphHash: undefined,
  vertices: [],
  slotsRequired: 0,
  lineage: { attemptNumber: 0, epoch: 0, restorePath: undefined, owner: undefined },
  restore: [],
  bytesToMove: 0,
  bytesToMoveBySubtask: [],
};

/** In turn, until it fits: what is only for people goes first, the longest first; what the controller decides by stays. */
const shorterPlans: readonly ((result: PlanResult) => PlanResult)[] = [
  (result) => ({ ...result, bytesToMoveBySubtask: [] }),
  (result) => ({ ...result, restore: result.restore.map((line) => ({ ...line, changes: [] })) }),
  (result) => ({ ...result, restore: [], vertices: [] }),
  (result) => ({ ...result, problems: result.problems.slice(0, 3).map(shortened) }),
  (result) => ({ ...result, problems: result.problems.slice(0, 1) }),
];

const problemLengthMax = 600;

function shortened({ code, message, remedy }: PlanProblem): PlanProblem {
  return { code, message: message.slice(0, problemLengthMax), remedy: remedy?.slice(0, problemLengthMax) };
}

/** `plan --config FILE [--json] [--result-file FILE]`: can this revision start, and from what? Changes nothing; the storage is probed. Returns the exit code. */
export async function planCommand(argv: readonly string[]): Promise<number> {
  // What a job module prints while it is loaded must not get between the lines of the answer.
  globalThis.console = new Console(process.stderr);
  const isJson = argv.includes('--json');
  const result = await planOf(argv);
  process.stdout.write(isJson ? `${JSON.stringify(result)}\n` : formatPlan(result));
  await writeResultFile(argv, result, shorterPlans);
  return result.ok ? exitCodes.ok : exitCodes.unusable;
}

async function planOf(argv: readonly string[]): Promise<PlanResult> {
  try {
    return await plan(await readProcessConfig(PlanProcessConfig, argv));
  } catch (error) {
    return { ...nothing, problems: [toProblem(toErrorInfo(error))] };
  }
}

/** As a TaskManager on a machine like this one would. Without a limit of its own it takes its container's, which is not known here. */
function checkMemory({ taskManager, stateBackend, lineage }: PlanProcessConfig): void {
  if (taskManager?.memorySizeBytes !== undefined) {
    processMemory({ memorySizeBytes: taskManager.memorySizeBytes, stateBackend, lineage }, slotThreadCount(taskManager.slots));
  }
}

/** All that can be found out, even when a part of it is a problem. */
export async function plan(config: PlanProcessConfig): Promise<PlanResult> {
  const graph = await attempt(async () => {
    const job = await loadJob(await bringJobModule(config.job));
    return job.graph;
  });
  const storage = await attempt(async () => {
    const opened = openCheckpointStorage(config.lineage.checkpointStorage, config.lineage);
    await probeStorage(opened, randomUUID());
    return opened;
  });
  const aboutGraph =
    graph.value === undefined
      ? {}
      : {
          jobGraphHash: jobGraphHash(graph.value),
          vertices: graph.value.vertices.map(({ id, name, parallelism }) => ({ id, name, parallelism })),
          slotsRequired: slotsRequired(graph.value),
        };
  const before = { ...nothing, ...aboutGraph };
  const backend = await attempt(async () => {
    if (config.stateBackend === 'RocksDB') {
      loadNativeBinding();
    }
  });
  const memory = await attempt(async () => checkMemory(config));
  const early = [...graph.problems, ...storage.problems, ...backend.problems, ...memory.problems];
  if (storage.value === undefined) {
    return { ...before, problems: early };
  }
  const ports = { storage: storage.value, clock: systemClock, nonce: randomUUID, log: silent };
  const lineage = await attempt(() => LineageLog.read(ports));
  if (lineage.value === undefined) {
    return { ...before, problems: [...early, ...lineage.problems] };
  }
  const { view } = lineage.value;
  const known = {
    ...{ attemptNumber: view.attempt?.number ?? 0, attemptToken: view.attempt?.token },
    ...{ epoch: view.epoch, owner: view.opened?.owner },
  };
  const decision = lineageRules.decideOpen(view, {
    ...openRequest({ config: { ...config, ...asNextAttempt(known.attemptNumber) } }, storage.value.url),
    nowMs: Date.now(),
  });
  if (decision.type === 'Refuse') {
    return { ...before, problems: [...early, toProblem(decision.error)], lineage: { ...known, restorePath: undefined } };
  }
  const record = decision.restore.checkpoint;
  const importRequest = decision.restore.import;
  const restorePath = importRequest?.url ?? (record && directoryOfManifest(record.manifest.path));
  const source = await attempt(async () =>
    importRequest === undefined ? undefined : await openCheckpointSource({ ...ports, openStorageAt }, importRequest.url),
  );
  const toImport = source.value && importOf(source.value);
  const setsAside = setAside(view, record);
  const lineageFacts = { ...known, restorePath, ...(setsAside === undefined ? {} : { setsAside }) };
  const about = { ...before, lineage: lineageFacts, ...(toImport && { import: toImport }) };
  const found = graph.value;
  if (found === undefined || source.problems.length > 0) {
    return { ...about, problems: [...early, ...source.problems] };
  }
  const options = { graph: found, allowed: allowedStateChanges(config), stateBackend: config.stateBackend };
  const restorable = await attempt<Omit<Restorable, 'checkpoint'>>(() =>
    source.value === undefined
      ? proveRestorable(ports, { ...options, record, closedWith: view.closedCheckpointId })
      : proveManifest(
          { storage: source.value.storage, clock: systemClock },
          { ...options, manifest: stateToImport(source.value), isOutputCommitted: false },
        ),
  );
  const startsEmpty = restorePath === undefined ? [] : startingEmpty(found, restorable.value?.plan.lines ?? []);
  const problems = [...early, ...restorable.problems, ...(restorable.value?.errors ?? []).map(toProblem)];
  return {
    ...about,
    ok: problems.length === 0,
    problems,
    restore: restorable.value?.plan.lines ?? [],
    ...(startsEmpty.length === 0 ? {} : { startsEmpty }),
    bytesToMove: restorable.value?.plan.bytesToMove ?? 0,
    bytesToMoveBySubtask: [...(restorable.value?.plan.bytesToMoveBySubtask ?? [])].map(([task, bytes]) => ({ task, bytes })),
  };
}

/** Enough to decide by and to name; the answer has to fit into a message of a pod. */
const startsEmptyCountMax = 8;

function startingEmpty(graph: JobGraph, lines: readonly RestoreLine[]): readonly string[] {
  const isNew = new Set(lines.filter(({ action }) => action === 'New').map(({ uid }) => uid));
  const found = statefulOperators(graph).filter(({ uid, operator }) => isNew.has(uid) && keepsState(operator));
  return found.slice(0, startsEmptyCountMax).map(({ uid }) => uid);
}

/** The newest checkpoint, where something else is restored. Whoever asks for an older one should read what they give up. */
function setAside({ latest }: LineageView, restored: CheckpointRecord | undefined): string | undefined {
  return latest === undefined || latest.manifest.path === restored?.manifest.path
    ? undefined
    : directoryOfManifest(latest.manifest.path);
}

/** Nothing is pinned for a plan, so what it finds may be gone when the job starts; then the start says so. */
function importOf({ url, manifest }: CheckpointSource): PlanResult['import'] {
  const files = namedFiles(manifest);
  return { url, fileCount: files.length, sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
}

/** The controller numbers attempts when it starts one; a plan is about the next. */
function asNextAttempt(head: number): {
  readonly attempt: { readonly number: number; readonly token: string };
  readonly podUid: string;
  readonly revision: string;
} {
  return { attempt: { number: head + 1, token: 'plan' }, podUid: 'plan', revision: 'plan' };
}

async function attempt<T>(
  action: () => Promise<T>,
): Promise<{ readonly value: T | undefined; readonly problems: readonly PlanProblem[] }> {
  try {
    return { value: await action(), problems: [] };
  } catch (error) {
    return { value: undefined, problems: [toProblem(toErrorInfo(error, 'user'))] };
  }
}

function toProblem({ code, message, remedy }: ErrorInfo): PlanProblem {
  return { code, message, remedy };
}

/** A plan speaks through its result. */
const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

function formatPlan(result: PlanResult): string {
  const { lineage, vertices, problems, restore } = result;
  const lines = [
    ...vertices.map(({ name, parallelism }) => `  ${name}  x ${parallelism}`),
    ...(vertices.length > 0 ? [`  ${result.slotsRequired} slots`] : []),
    lineage.restorePath === undefined
      ? 'Starts from nothing.'
      : `Restores ${lineage.restorePath}, ${result.bytesToMove} bytes to move:`,
    ...(lineage.setsAside === undefined
      ? []
      : [`  Sets aside ${lineage.setsAside}, the newest state: the job does not continue from it.`]),
    ...(result.import === undefined
      ? []
      : [`  Imported first: ${result.import.fileCount} files of ${result.import.sizeBytes} bytes, copied into the lineage`]),
    ...restore.flatMap(({ uid, action, detail, changes, bytesToMove }) => [
      `  ${action.padEnd(8)}${uid}  ${detail}${bytesToMove === 0 ? '' : `, ${bytesToMove} bytes`}`,
      ...changes.map((change) => `          ${change}`),
    ]),
    ...problems.flatMap(({ code, message, remedy }) => [
      `Problem ${code}: ${message}`,
      ...(remedy === undefined ? [] : [`  ${remedy}`]),
    ]),
    result.ok ? 'This revision can start.' : 'This revision cannot start.',
  ];
  return `${lines.join('\n')}\n`;
}
