import type { StateFile } from '../../src/core/checkpoint/manifest.ts';
import type { FencingToken } from '../../src/core/fencing-token.ts';
import type { ErrorInfo } from '../../src/core/job-error.ts';
import type { JobGraph, OperatorDescription } from '../../src/core/job-graph/job-graph.ts';
import { keyGroupRangeOf } from '../../src/core/key-groups/key-group.ts';
import type {
  JobManagerConnection,
  JobManagerMessage,
  LocalStatePart,
  OperatorSubtaskState,
  SubtaskDeployment,
  SubtaskId,
  TaskManagerConnection,
  TaskManagerMessage,
} from '../../src/core/protocol/messages.ts';
import { jobGraphHash } from '../../src/job-loading/job-graph-hash.ts';

type Handlers<In> = { readonly onMessage: (message: In) => void; readonly onClose: (reason: string) => void };

/** A connected pair that delivers in order, each message in a microtask of its own. */
function connect(): { readonly jobManagerSide: TaskManagerConnection; readonly taskManagerSide: JobManagerConnection } {
  const handlers: { jobManager?: Handlers<TaskManagerMessage>; taskManager?: Handlers<JobManagerMessage> } = {};
  let isClosed = false;
  const close = (reason: string) => {
    if (!isClosed) {
      isClosed = true;
      queueMicrotask(() => {
        handlers.jobManager?.onClose(reason);
        handlers.taskManager?.onClose(reason);
      });
    }
  };
  const deliver = (action: () => void) => {
    if (!isClosed) {
      queueMicrotask(action);
    }
  };
  return {
    jobManagerSide: {
      send: (message) => deliver(() => handlers.taskManager?.onMessage(message)),
      listen: (given) => {
        handlers.jobManager = given;
      },
      close,
    },
    taskManagerSide: {
      send: (message) => deliver(() => !isClosed && handlers.jobManager?.onMessage(message)),
      listen: (given) => {
        handlers.taskManager = given;
      },
      close,
    },
  };
}

export interface TaskManagerScript {
  /** Answers to these are left to the test. */
  readonly silentOn?: readonly JobManagerMessage['type'][];
  readonly decline?: ErrorInfo;
  /** Of the one file that each part of keyed state has; without it there are none. */
  readonly stateFileSizeBytes?: number;
}

/** A TaskManager that does at once what it is told, or does not, as the test says. It holds no state but counts what it was given. */
export class ScriptedTaskManager {
  readonly id: string;
  readonly received: JobManagerMessage[] = [];
  script: TaskManagerScript = {};
  token: FencingToken | undefined;
  subtasks: readonly SubtaskDeployment[] = [];
  closedBecause: string | undefined;
  readonly #graph: JobGraph;
  readonly #connection: JobManagerConnection;

  constructor(options: {
    readonly id: string;
    readonly slots: number;
    readonly graph: JobGraph;
    readonly accept: (connection: TaskManagerConnection) => void;
    readonly jobGraphHash?: string;
    readonly localParts?: readonly LocalStatePart[];
  }) {
    const { id, slots, graph, accept } = options;
    this.id = id;
    this.#graph = graph;
    const { jobManagerSide, taskManagerSide } = connect();
    this.#connection = taskManagerSide;
    taskManagerSide.listen({
      onMessage: (message) => this.#receive(message),
      onClose: (reason) => {
        this.closedBecause = reason;
      },
    });
    accept(jobManagerSide);
    this.send({
      ...{ type: 'Register', taskManagerId: id, slots, dataAddress: `${id}:1`, pid: 1 },
      jobGraphHash: options.jobGraphHash ?? jobGraphHash(graph),
      localParts: options.localParts ?? [],
    });
  }

  send(message: TaskManagerMessage): void {
    this.#connection.send(message);
  }

  disconnect(): void {
    this.#connection.close('killed');
  }

  types(): readonly string[] {
    return this.received.map(({ type }) => type).filter((type) => type !== 'Heartbeat');
  }

  endInput(): void {
    for (const { task } of this.subtasks) {
      this.send({ type: 'EndOfInput', token: this.#token(), task });
    }
  }

  fail(error: ErrorInfo): void {
    const [first] = this.subtasks;
    if (first !== undefined) {
      this.send({ type: 'TaskFailed', token: this.#token(), task: first.task, error });
    }
  }

  ready(): void {
    this.send({ type: 'TasksReady', token: this.#token() });
  }

  acknowledge(checkpointId: number, token = this.#token()): void {
    for (const { task } of this.subtasks) {
      const operators = this.#states(task, checkpointId);
      const durations = { syncDurationMs: 1, asyncDurationMs: 1, alignmentDurationMs: 1 };
      this.send({ type: 'CheckpointAcknowledged', token, checkpointId, task, operators, ...durations, uploadedSizeBytes: 1 });
    }
  }

  commit(checkpointId: number): void {
    for (const { task } of this.subtasks) {
      if (this.#operators(task).some(({ sink }) => sink)) {
        this.send({ type: 'Committed', token: this.#token(), checkpointId, task });
      }
    }
  }

  #token(): FencingToken {
    return this.token ?? { epoch: 0, executionAttempt: 0 };
  }

  #receive(message: JobManagerMessage): void {
    this.received.push(message);
    if (message.type === 'Deploy') {
      this.token = message.token;
      this.subtasks = message.deployment.subtasks;
    }
    if (!this.script.silentOn?.includes(message.type)) {
      this.#answer(message);
    }
  }

  #answer(message: JobManagerMessage): void {
    switch (message.type) {
      case 'Heartbeat':
        this.send({ type: 'Heartbeat', residentSizeBytes: 1 });
        break;
      case 'Deploy':
        this.ready();
        break;
      case 'TriggerCheckpoint':
        this.#checkpoint(message.checkpointId);
        break;
      case 'CheckpointCompleted':
        this.commit(message.checkpointId);
        break;
      case 'ForgetFiles': {
        // It has no working state, so it holds none of them.
        const { token, requestId, names } = message;
        this.send({ type: 'FilesForgotten', token, requestId, names });
        break;
      }
      case 'Cancel':
        this.subtasks = [];
        this.send({ type: 'TasksCanceled', token: message.token });
        break;
      default:
    }
  }

  #checkpoint(checkpointId: number): void {
    const { decline } = this.script;
    const [first] = this.subtasks;
    if (decline !== undefined && first !== undefined) {
      this.send({ type: 'CheckpointDeclined', token: this.#token(), checkpointId, task: first.task, error: decline });
    } else {
      this.acknowledge(checkpointId);
    }
  }

  #operators({ vertexId }: SubtaskId): readonly OperatorDescription[] {
    return this.#graph.vertices.find(({ id }) => id === vertexId)?.operators ?? [];
  }

  #files({ vertexId, subtaskIndex }: SubtaskId, checkpointId: number): readonly StateFile[] {
    const { stateFileSizeBytes: sizeBytes } = this.script;
    const path = `chk-${checkpointId}/${vertexId}-${subtaskIndex}.sst`;
    return sizeBytes === undefined
      ? []
      : [{ name: '000001.sst', handle: { type: 'file', path, sizeBytes, sha256: '0'.repeat(64) } }];
  }

  #states(task: SubtaskId, checkpointId: number): readonly OperatorSubtaskState[] {
    const { vertexId, subtaskIndex } = task;
    const { parallelism = 1, maxParallelism = 1 } = this.#graph.vertices.find(({ id }) => id === vertexId) ?? {};
    const base64 = Buffer.from(`${vertexId}#${subtaskIndex}@${checkpointId}`).toString('base64');
    const keyGroups = keyGroupRangeOf(subtaskIndex, parallelism, maxParallelism);
    return this.#operators(task).map(({ id, uid, keyed, source, sink }) => ({
      uid: uid ?? id,
      keyed: keyed && {
        backend: this.script.stateFileSizeBytes === undefined ? 'HashMap' : 'RocksDB',
        keyGroups,
        handle: { type: 'inline', base64 },
        files: this.#files(task, checkpointId),
      },
      splits: source && [{ splitId: `split-${subtaskIndex}`, positionBase64: base64 }],
      committables: sink && [{ checkpointId, data: `${vertexId}#${subtaskIndex}@${checkpointId}` }],
    }));
  }
}
