import type { Credentials } from '@flinkjob/runtime/credentials';
import type { SavepointTask } from '@flinkjob/runtime/process-config';
import type { JobStatusDocument } from '@flinkjob/runtime/rest';
import type { Revision } from '../flink-job/revision.ts';
import type { RestoreRequest } from '../platform/platform.ts';

/**
 * What runs inside the processes. TypeScript jobs run on our runtime; Apache Flink images will run as another engine behind the same
 * resource. An engine renders workloads and speaks REST; it knows neither where processes run nor what should happen next.
 *
 * Both honest cases have to fit: ours is told its restore request and finds the lineage itself, Flink gets a path as an argument; ours
 * answers `/v1/status`, Flink's document is put together from several calls.
 */
export interface Engine {
  readonly name: 'TypeScript';
  /** Argument list and configuration file of each role. Pure. */
  renderJobManager(input: JobManagerRendering): RenderedProcess;
  renderTaskManager(input: TaskManagerRendering): RenderedProcess;
  renderPreFlight(input: PreFlightRendering): RenderedProcess;
  renderPurge(input: PurgeRendering): RenderedProcess;
  renderSavepointTask(input: SavepointTaskRendering): RenderedProcess;
  /**
   * Speaks to the JobManager at `host:port`. Without credentials it can only read, unless the job has none either. `mayCommand` is asked before everything that changes something, as late as it
   * can be: the last moment at which somebody who lost the lead can be stopped (`NotLeading`). Absent: yes.
   */
  client(address: string, credentials: Credentials | undefined, mayCommand?: () => boolean): JobClient;
}

export interface RenderedProcess {
  /** For node itself, before the program. */
  readonly nodeOptions: readonly string[];
  /** Where the program is on this machine; in a container it is the image's entry point. */
  readonly program: () => string;
  /** What the program is called with; `configPath` stands where the file is put. */
  readonly args: (configPath: string) => readonly string[];
  /** Content of the configuration file, as JSON data. */
  readonly config: object;
}

/** What node is called with for a process on this machine. */
export function localArguments(
  { nodeOptions, program, args }: Pick<RenderedProcess, 'nodeOptions' | 'program' | 'args'>,
  configPath: string,
): readonly string[] {
  return [...nodeOptions, program(), ...args(configPath)];
}

/** What every process of a revision is told about its place. */
interface Place {
  readonly revision: Revision;
  readonly namespace: string;
  readonly name: string;
  readonly clusterId: string;
  /** Host that listening sockets bind to; empty where each process is told its own. */
  readonly host: string;
  /** Where others expect them to listen; without it the system chooses. */
  readonly ports?: Ports | undefined;
}

/** One process has its network namespace for itself, so the same ones serve every job. */
export interface Ports {
  readonly rest: number;
  readonly rpc: number;
  readonly data: number;
  readonly metrics: number;
}

export interface JobManagerRendering extends Place {
  readonly attempt: { readonly number: number; readonly token: string };
  readonly podUid: string;
  readonly restore: RestoreRequest;
  /** Where it says at which addresses it listens, unless the platform knows. */
  readonly addressFile: string | undefined;
  readonly keyFile: string | undefined;
}

export interface TaskManagerRendering extends Place {
  readonly taskManagerId: string;
  /** How the JobManager is found, also one that has replaced another. */
  readonly jobManager: { readonly addressFile: string } | { readonly address: string };
  /** Where working state on disk goes; the platform empties them before each start. */
  readonly localDirectories: readonly string[];
  /** The keys of the job, by which its processes know each other; undefined in an attempt that has none. */
  readonly keyFile: string | undefined;
}

export interface PurgeRendering extends Place {
  readonly attemptNumber: number;
  /** The same for every try. */
  readonly purgeId: string;
  readonly graceSeconds: number | undefined;
}

export interface SavepointTaskRendering extends Place {
  readonly task: SavepointTask;
}

export interface PreFlightRendering extends Place {
  readonly restore: RestoreRequest;
}

/** How state is written into a savepoint. */
type StateFormat = 'Native' | 'Canonical';

/** Requests to a running job. All fail with a `JobError`: `JobManagerUnreachable`, or what the JobManager answered. */
export interface JobClient {
  readStatus(): Promise<JobStatusDocument>;
  /** Begins a savepoint; its outcome is in the status document's `operations`. */
  savepoint(
    operationId: string,
    options?: { readonly stateFormat?: StateFormat | undefined; readonly reason?: string | undefined },
  ): Promise<void>;
  /** Gives a savepoint of the job's lineage free for deletion, by its location; its outcome too is in `operations`. */
  releaseSavepoint(operationId: string, location: string): Promise<void>;
  /** Begins a stop with savepoint; given up by the JobManager `deadlineSeconds` from now. */
  stop(request: {
    readonly operationId: string;
    readonly deadlineSeconds: number;
    readonly stateFormat?: StateFormat;
  }): Promise<void>;
  cancel(operationId: string): Promise<void>;
}
