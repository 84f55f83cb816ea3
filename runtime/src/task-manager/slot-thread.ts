import type { MessagePort } from 'node:worker_threads';
import { openCheckpointStorage } from '../checkpoint-storage/open-checkpoint-storage.ts';
import { assert } from '../core/assert.ts';
import { subtaskKey } from '../core/checkpoint/subtask-key.ts';
import { toErrorInfo } from '../core/job-error.ts';
import type { ExecutableJob } from '../core/job-graph/executable-job.ts';
import type { SubtaskDeployment, SubtaskId } from '../core/protocol/messages.ts';
import { jobGraphHash } from '../job-loading/job-graph-hash.ts';
import { loadJob } from '../job-loading/load-job.ts';
import { ThreadMeter } from '../process-meters.ts';
import type { SnapshotTarget } from '../state-backend/state-backend.ts';
import { systemClock } from '../system-clock.ts';
import { buildTask, type TaskEnvironment } from './build-task.ts';
import { describeTaskError } from './chain/operator-failure.ts';
import { collectGarbage } from './collect-garbage.ts';
import { ThreadExchange } from './exchange/thread-exchange.ts';
import { LeaseView } from './lease-view.ts';
import { keepFiles, keptPartDirectory } from './local-recovery/keep-files.ts';
import { RestoredFiles } from './local-recovery/restored-files.ts';
import { backendName } from './local-state.ts';
import { SharedFiles } from './shared-files.ts';
import type { FromSlotThread, SlotThreadInput, ToSlotThread } from './slot-thread-messages.ts';
import { stateBackendFactory } from './state-backend-factory.ts';
import { type SnapshotPlace, snapshotTarget } from './state-files.ts';
import type { Task, TaskReporter } from './task.ts';
import { TaskLoop } from './task-loop.ts';
import { UploadAhead } from './upload-ahead.ts';

const metricsIntervalMs = 1_000;
/** Between words about event time to the others of an alignment group; how far a group drifts beyond its bound follows from this. */
const alignmentIntervalMs = 500;

/** One thread of a TaskManager: builds the subtasks of its slots, runs them in one loop and answers for them to the main thread. */
export class SlotThread {
  readonly #input: SlotThreadInput;
  readonly #port: MessagePort;
  readonly #lease: LeaseView;
  readonly #tasks: Task[] = [];
  /** By `backendName`. */
  readonly #sharedFiles = new Map<string, SharedFiles>();
  readonly #uploadAhead = new UploadAhead(this.#tasks);
  readonly #meter = new ThreadMeter();
  #exchange: ThreadExchange | undefined;
  #loop: TaskLoop | undefined;
  #metricsTimer: NodeJS.Timeout | undefined;
  #alignmentTimer: NodeJS.Timeout | undefined;
  #isClosing = false;
  readonly #built: Promise<void>;

  constructor(input: SlotThreadInput, port: MessagePort) {
    this.#input = input;
    this.#port = port;
    this.#lease = new LeaseView(input.lease);
    port.on('message', (message: ToSlotThread) => this.#receive(message));
    for (const neighbour of input.ports.values()) {
      neighbour.on('message', (message: ToSlotThread) => this.#receive(message));
    }
    this.#built = this.#build();
  }

  async #build(): Promise<void> {
    const [first] = this.#input.subtasks;
    assert(first !== undefined, 'a thread without subtasks');
    let current: SubtaskDeployment = first;
    try {
      const job = await loadJob(this.#input.job);
      assert(
        jobGraphHash(job.graph) === this.#input.jobGraphHash,
        'the job module builds the same graph each time it is loaded with the same arguments',
      );
      // Before there is state.
      await collectGarbage();
      const exchange = this.#createExchange(job);
      const environment = this.#environment(job);
      for (const subtask of this.#input.subtasks) {
        if (this.#isClosing) {
          return;
        }
        current = subtask;
        this.#tasks.push(await buildTask(environment, subtask, exchange.channelsOf(subtask.task, job)));
      }
      this.#loop = new TaskLoop({
        tasks: this.#tasks,
        onSliceEnd: () => exchange.flush(),
        isSuspended: () => this.#lease.isExpired,
        nowMs: systemClock.nowMs,
        monotonicMs: systemClock.monotonicMs,
      });
    } catch (error) {
      this.#reporter.failed(current.task, error);
      return;
    }
    this.#post({ type: 'Ready' });
  }

  #createExchange(job: ExecutableJob): ThreadExchange {
    const { subtasks, threadOfSubtask, threadIndex, pageSizeBytes, ports } = this.#input;
    this.#exchange = new ThreadExchange({
      graph: job.graph,
      subtasks: subtasks.map(({ task }) => task),
      threadIndex,
      pageSizeBytes,
      threadOf: (task: SubtaskId) => threadOfSubtask.get(subtaskKey(task)),
      postToThread: (thread, message, transfer) => {
        const port = ports.get(thread);
        assert(port !== undefined, `no line to thread ${thread}`);
        port.postMessage(message, transfer);
      },
      postToMain: (message, transfer) => this.#port.postMessage(message, transfer),
    });
    return this.#exchange;
  }

  #environment(job: ExecutableJob): TaskEnvironment {
    const { lineage, token, state } = this.#input;
    const storage = openCheckpointStorage(lineage.checkpointStorage, lineage, { threadCount: this.#input.ports.size + 1 });
    const sharedFiles = (operatorUid: string, subtaskIndex: number): SharedFiles => {
      const name = backendName(operatorUid, subtaskIndex);
      const files = this.#sharedFiles.get(name) ?? new SharedFiles({ storage, clock: systemClock }, token);
      this.#sharedFiles.set(name, files);
      return files;
    };
    return {
      job,
      token,
      lineageId: `${lineage.namespace}/${lineage.name}`,
      storage,
      createBackend: stateBackendFactory(state),
      reporter: this.#reporter,
      restoredFiles: new RestoredFiles(state.backend === 'RocksDB' ? state.localFiles : new Map(), (progress) =>
        this.#post({ type: 'RestoreProgress', progress }),
      ),
      sharedFiles,
      snapshotTarget: (place) => {
        const target = snapshotTarget({ storage, clock: systemClock }, place, sharedFiles(place.uid, place.subtaskIndex));
        return this.#keeping(place, target);
      },
      mayCommit: () => !this.#isClosing && !this.#lease.isExpired,
      wake: () => this.#loop?.wake(),
      nowMs: systemClock.nowMs,
      monotonicMs: systemClock.monotonicMs,
    };
  }

  /** What a database has on the local disk stays there with the checkpoint. */
  #keeping({ uid, subtaskIndex, directory }: SnapshotPlace, target: SnapshotTarget): SnapshotTarget {
    const { state } = this.#input;
    const prefix = state.backend === 'RocksDB' ? state.keptPrefixes.get(backendName(uid, subtaskIndex)) : undefined;
    return prefix === undefined ? target : keepFiles(target, keptPartDirectory(prefix, directory));
  }

  readonly #reporter: TaskReporter = {
    acknowledged: (task, report) => this.#post({ type: 'Acknowledged', task, ...report }),
    declined: (task, checkpointId, error) => this.#post({ type: 'Declined', task, checkpointId, error: toErrorInfo(error) }),
    committed: (task, checkpointId) => this.#post({ type: 'Committed', task, checkpointId }),
    endOfInput: (task, pendingTimers) => this.#post({ type: 'EndOfInput', task, pendingTimers }),
    failed: (task, error) => {
      if (!this.#isClosing) {
        this.#post({ type: 'Failed', task, error: describeTaskError(error, task.subtaskIndex) });
      }
    },
  };

  #receive(message: ToSlotThread): void {
    switch (message.type) {
      case 'Start':
        this.#start();
        break;
      case 'Frames':
        this.#exchange?.receiveFrames(message.frames);
        break;
      case 'Credits':
        this.#exchange?.receiveCredits(message.credits);
        break;
      case 'TriggerCheckpoint':
        for (const task of this.#tasks) {
          task.triggerCheckpoint(message.barrier);
        }
        break;
      case 'CompleteCheckpoint':
        for (const task of this.#tasks) {
          task.completeCheckpoint(message.checkpointId);
        }
        break;
      case 'AbortCheckpoint':
        for (const task of this.#tasks) {
          task.abortCheckpoint(message.checkpointId);
        }
        break;
      case 'ForgetFiles':
        // It asserts nothing and reads what is there: no error can come of it.
        void this.#forget(message.requestId, message.names);
        return;
      case 'AlignSources':
        for (const { task: id, othersMinimumMs } of message.sources) {
          this.#tasks.find((task) => subtaskKey(task.id) === subtaskKey(id))?.alignSource(othersMinimumMs);
        }
        break;
      case 'Close':
        // Its errors are reported where they happen; what remains is to be gone.
        void this.#close();
        return;
    }
    this.#loop?.wake();
  }

  async #forget(requestId: number, names: readonly string[]): Promise<void> {
    // A database that is being opened has what it restores.
    await this.#built;
    let forgotten = names;
    for (const files of this.#sharedFiles.values()) {
      forgotten = files.forget(requestId, forgotten);
    }
    this.#post({ type: 'FilesForgotten', requestId, names: forgotten });
  }

  #start(): void {
    for (const task of this.#tasks) {
      task.start();
    }
    this.#uploadAhead.start();
    this.#metricsTimer = setInterval(() => this.#sendMetrics(), metricsIntervalMs);
    this.#sendMetrics();
    this.#alignmentTimer = setInterval(() => this.#sendSourceEventTimes(), alignmentIntervalMs);
  }

  #sendSourceEventTimes(): void {
    const sources = this.#tasks.flatMap((task) => task.sourceEventTime() ?? []);
    if (sources.length > 0) {
      this.#post({ type: 'SourceEventTimes', sources });
    }
  }

  #sendMetrics(): void {
    this.#post({ type: 'Metrics', subtasks: this.#tasks.map((task) => task.metrics()), thread: this.#meter.measure() });
  }

  async #close(): Promise<void> {
    this.#isClosing = true;
    clearInterval(this.#metricsTimer);
    clearInterval(this.#alignmentTimer);
    await this.#built;
    this.#uploadAhead.stop();
    this.#loop?.close();
    await Promise.allSettled(this.#tasks.map((task) => task.close()));
    this.#post({ type: 'Closed' });
  }

  #post(message: FromSlotThread): void {
    this.#port.postMessage(message);
  }
}
