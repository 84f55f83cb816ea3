import path from 'node:path';
import { JobError, type JobStatusDocument } from '@flinkjob/runtime/rest';
import { type FlinkJobKey, type FlinkJobManifest, formatKey, keyOf, type StoredFlinkJob } from '../../api/flink-job.ts';
import type { FlinkJobStore } from '../../store/flink-job-store.ts';
import { exitCodes } from '../command.ts';
import { describeApply } from '../commands/apply.ts';
import { pause, watchFiles } from '../file-watch.ts';
import type { FlinkJobFile } from '../flink-job-file.ts';
import { formatAge } from '../format.ts';
import { eventsBetween } from '../live-view/job-events.ts';
import { describeState, type JobSnapshot } from '../live-view/job-snapshot.ts';
import { addSample, noRates, type RateHistory } from '../live-view/rates.ts';
import type { ViewEvent } from '../live-view/view-state.ts';
import type { RunningProcess } from '../local-jobs.ts';
import type { Display } from './display.ts';
import { thingsToTry } from './things-to-try.ts';

/** All that a session needs of the world. */
export interface DevPorts {
  readonly store: FlinkJobStore;
  /** Runs the controller until the signal aborts. */
  readonly runController: (signal: AbortSignal) => Promise<void>;
  readonly readJobStatus: (flinkJob: StoredFlinkJob) => Promise<JobStatusDocument | undefined>;
  readonly processes: (flinkJob: StoredFlinkJob) => Promise<readonly RunningProcess[]>;
  /** Ends all processes of the job by force. */
  readonly killProcesses: (flinkJob: StoredFlinkJob) => Promise<void>;
  readonly readOutput: () => Promise<readonly { readonly process: string; readonly line: string }[]>;
  readonly loadFile: () => Promise<FlinkJobFile>;
  readonly display: Display;
  /** `Stop` at the first Ctrl-C, `Leave` at the second. */
  readonly nextSignal: () => Promise<void>;
}

export interface DevOptions {
  readonly fileName: string;
  readonly startCommand: string;
  /** Of `--fresh`: names this session's one start from nothing. */
  readonly freshToken: string | undefined;
}

/** The view is drawn in each step, the job is asked in every second one. */
const stepMs = 250;
const outputLinesMax = 500;
const eventsMax = 200;
/** For what is under way to come to an end. */
const settleWaitMs = 2000;
/** For processes that were killed to be gone. */
const killWaitMs = 5000;

type Stage =
  | { readonly stage: 'Running' }
  /** Suspended with this generation of the resource; waits until the controller has done it. */
  | { readonly stage: 'Suspending'; readonly generation: number; readonly sinceMs: number }
  | { readonly stage: 'Suspended' }
  | { readonly stage: 'Leaving' };

/**
 * `flinkjob dev`: one FlinkJob file, applied at each save, under a controller in this process, until Ctrl-C suspends it.
 *
 * 1. What the file says wins at the start, also over a job that was suspended or runs on from an earlier session.
 * 2. An invalid save changes nothing but what is shown.
 * 3. The session ends only when the job's processes are gone, or when it was told twice to end.
 * 4. A resource that is being deleted is left to its end; then the file makes another one.
 */
export class DevSession {
  readonly #ports: DevPorts;
  readonly #options: DevOptions;
  readonly #ended = new AbortController();
  readonly #deleting = Promise.withResolvers<void>();
  readonly #key: FlinkJobKey;
  #file: Extract<FlinkJobFile, { ok: true }>;
  #manifest: FlinkJobManifest;
  #stage: Stage = { stage: 'Running' };
  #snapshot: JobSnapshot | undefined;
  /** Of the resource that `#lastStatus` and `#rates` are of. */
  #uid: string | undefined;
  #lastStatus: JobStatusDocument | undefined;
  #rates: RateHistory = noRates;
  #processes: readonly RunningProcess[] = [];
  #problem: readonly string[] = [];
  #events: ViewEvent[] = [];
  #output: string[] = [];
  #triedOnce = false;

  constructor(file: Extract<FlinkJobFile, { ok: true }>, ports: DevPorts, options: DevOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#file = file;
    this.#manifest = this.#asApplied(file.manifest);
    this.#key = keyOf(file.manifest);
  }

  async run(): Promise<number> {
    const { display } = this.#ports;
    const controllerEnded = new AbortController();
    const applied = this.#applyWhenGone(this.#manifest);
    // What the file says comes first, except where only the controller can make room for it.
    await Promise.race([applied, this.#deleting.promise]);
    const controller = this.#ports.runController(controllerEnded.signal);
    const watching = this.#watchAfter(applied);
    const failed = Promise.race([controller, watching]).then(() => new Promise<never>(() => undefined));
    try {
      await Promise.race([this.#steps(), this.#handleSignals(), failed]);
    } finally {
      this.#ended.abort();
      controllerEnded.abort();
      // A kill must not be undone by a controller or a save that is still in the middle of something.
      await Promise.race([Promise.allSettled([controller, watching]), pause(settleWaitMs, new AbortController().signal)]);
      if (this.#stage.stage === 'Leaving') {
        await this.#kill();
      }
      display.close();
    }
    display.notice(this.#farewell());
    return exitCodes.ok;
  }

  async #watchAfter(applied: Promise<void>): Promise<void> {
    await applied;
    await watchFiles(this.#file.watchedFiles, () => this.#reload(), this.#ended.signal);
  }

  /** Until the job is suspended. */
  async #steps(): Promise<void> {
    for (let step = 0; this.#stage.stage !== 'Suspended' && !this.#ended.signal.aborted; step++) {
      if (step % 2 === 0) {
        await this.#look();
      }
      await this.#takeOutput();
      this.#show();
      await pause(stepMs, this.#ended.signal);
    }
  }

  async #handleSignals(): Promise<void> {
    await this.#ports.nextSignal();
    await this.#suspend();
    await this.#ports.nextSignal();
    this.#stage = { stage: 'Leaving' };
  }

  async #look(): Promise<void> {
    const flinkJob = await this.#ports.store.get(this.#key);
    const job = flinkJob === undefined ? undefined : await this.#ports.readJobStatus(flinkJob);
    this.#processes = flinkJob === undefined ? [] : await this.#ports.processes(flinkJob);
    this.#forgetAnother(flinkJob);
    const next: JobSnapshot = { atMs: Date.now(), flinkJob, job };
    this.#tell(eventsBetween(this.#snapshot, next));
    this.#snapshot = next;
    if (job !== undefined) {
      this.#lastStatus = job;
      this.#rates = addSample(this.#rates, job, next.atMs);
      this.#tellWhatToTry(job);
    }
    this.#checkSuspended();
  }

  /** A resource that was deleted and created again is another job: what its predecessor had counted is not shown as its own. */
  #forgetAnother(flinkJob: StoredFlinkJob | undefined): void {
    if (flinkJob === undefined || flinkJob.metadata.uid === this.#uid) {
      return;
    }
    this.#uid = flinkJob.metadata.uid;
    this.#lastStatus = undefined;
    this.#rates = noRates;
  }

  #checkSuspended(): void {
    const stage = this.#stage;
    const status = this.#snapshot?.flinkJob?.status;
    const gone = this.#snapshot?.flinkJob === undefined;
    if (stage.stage !== 'Suspending') {
      return;
    }
    const done = (status?.observedGeneration ?? 0) >= stage.generation && status?.rollout === undefined;
    if (gone || (done && this.#processes.length === 0)) {
      this.#stage = { stage: 'Suspended' };
    }
  }

  async #takeOutput(): Promise<void> {
    for (const { process, line } of await this.#ports.readOutput()) {
      this.#output.push(line);
      this.#ports.display.output(process, line);
    }
    this.#output = this.#output.slice(-outputLinesMax);
  }

  async #reload(): Promise<readonly string[]> {
    const file = await this.#ports.loadFile();
    if (this.#stage.stage !== 'Running') {
      return file.watchedFiles;
    }
    if (!file.ok) {
      if (file.problem.join('\n') !== this.#problem.join('\n')) {
        this.#problem = file.problem;
        this.#ports.display.notice([...file.problem, 'The job runs on as it was. Correct the file and save.']);
      }
      // Files that were watched before may hold the correction.
      return [...new Set([...file.watchedFiles, ...this.#file.watchedFiles])];
    }
    if (formatKey(keyOf(file.manifest)) !== formatKey(this.#key)) {
      this.#problem = [
        `the file now names ${formatKey(keyOf(file.manifest))}`,
        `This session runs ${formatKey(this.#key)}. Ctrl-C, then start again for another job.`,
      ];
      this.#ports.display.notice(this.#problem);
      return file.watchedFiles;
    }
    this.#problem = [];
    this.#file = file;
    await this.#applyWhenGone(this.#asApplied(file.manifest));
    return file.watchedFiles;
  }

  /** Waits for the end of a deletion that is under way: this very session may be the only one that can bring it about. */
  async #applyWhenGone(manifest: FlinkJobManifest): Promise<void> {
    if ((await this.#applyUnlessDeleting(manifest)) !== undefined) {
      return;
    }
    const message = `${formatKey(this.#key)} is being deleted; the file is applied when it is gone`;
    this.#tell([{ atMs: Date.now(), tone: 'busy', reason: 'Deleting', message }]);
    this.#deleting.resolve();
    while (!this.#ended.signal.aborted) {
      await pause(stepMs, this.#ended.signal);
      if (this.#stage.stage !== 'Running' || (await this.#applyUnlessDeleting(manifest)) !== undefined) {
        return;
      }
    }
  }

  async #applyUnlessDeleting(manifest: FlinkJobManifest): Promise<StoredFlinkJob | undefined> {
    try {
      return await this.#apply(manifest);
    } catch (error) {
      if (error instanceof JobError && error.code === 'BeingDeleted') {
        return undefined;
      }
      throw error;
    }
  }

  /** Applies, and says so when that changed something. */
  async #apply(manifest: FlinkJobManifest): Promise<StoredFlinkJob> {
    const before = await this.#ports.store.get(this.#key);
    const after = await this.#ports.store.apply(manifest);
    this.#manifest = manifest;
    const change = describeApply(before, after);
    if (change !== 'unchanged' && this.#stage.stage === 'Running') {
      const message = `${this.#options.fileName}: ${formatKey(this.#key)} ${change}`;
      this.#tell([{ atMs: Date.now(), tone: 'accent', reason: 'Applied', message }]);
    }
    return after;
  }

  #asApplied(manifest: FlinkJobManifest): FlinkJobManifest {
    const { freshToken } = this.#options;
    if (freshToken === undefined) {
      return manifest;
    }
    const { path: _path, ...restore } = manifest.spec.restore;
    return { ...manifest, spec: { ...manifest.spec, restore: { ...restore, from: 'None', token: freshToken } } };
  }

  async #suspend(): Promise<void> {
    // Set first, so that a save at this moment does not start the job again.
    this.#stage = { stage: 'Suspending', generation: Number.POSITIVE_INFINITY, sinceMs: Date.now() };
    const existing = await this.#ports.store.get(this.#key);
    if (existing === undefined || existing.metadata.deletionTimestamp !== undefined) {
      // To suspend it would bring it back; the session ends when it is gone.
      return;
    }
    if (existing.status?.ended === undefined) {
      const message = 'the job is being stopped with a savepoint; Ctrl-C again leaves at once';
      this.#tell([{ atMs: Date.now(), tone: 'accent', reason: 'Suspending', message }]);
    }
    const { spec } = this.#manifest;
    const suspended = await this.#applyUnlessDeleting({
      ...this.#manifest,
      spec: { ...spec, job: { ...spec.job, desiredState: 'Suspended' } },
    });
    if (suspended === undefined) {
      return;
    }
    this.#stage = { stage: 'Suspending', generation: suspended.metadata.generation, sinceMs: Date.now() };
  }

  async #kill(): Promise<void> {
    const flinkJob = await this.#ports.store.get(this.#key);
    if (flinkJob === undefined) {
      return;
    }
    this.#snapshot = { atMs: Date.now(), flinkJob, job: undefined };
    await this.#ports.killProcesses(flinkJob);
    const deadlineMs = Date.now() + killWaitMs;
    while (Date.now() < deadlineMs) {
      this.#processes = await this.#ports.processes(flinkJob);
      if (this.#processes.length === 0) {
        return;
      }
      await pause(100, new AbortController().signal);
    }
  }

  #tell(events: readonly ViewEvent[]): void {
    for (const event of events) {
      const readable = { ...event, message: this.#inSource(event.message) };
      this.#events.push(readable);
      this.#ports.display.event(readable);
    }
    this.#events = this.#events.slice(-eventsMax);
  }

  /** Messages speak of the copy that runs; the author knows the original. */
  #inSource(text: string): string {
    return text.replaceAll(this.#file.code.copyRoot, this.#file.code.sourceRoot);
  }

  #tips(): readonly string[] {
    const { fileName, startCommand } = this.#options;
    const { parallelism } = this.#manifest.spec.job;
    const taskManagerPid = this.#processes.find(({ name }) => name.startsWith('task-manager'))?.pid;
    return thingsToTry({ taskManagerPid, fileName, parallelism, parallelismLine: this.#file.parallelismLine, startCommand });
  }

  /** For those who see no live view: once, when the job runs. */
  #tellWhatToTry(job: JobStatusDocument): void {
    if (!this.#triedOnce && job.state === 'Running') {
      this.#triedOnce = true;
      this.#ports.display.notice(['', 'Three things to try:', ...this.#tips().map((tip, index) => `  ${index + 1}. ${tip}`), '']);
    }
  }

  #show(): void {
    const snapshot = this.#snapshot;
    if (snapshot === undefined) {
      return;
    }
    const status = snapshot.flinkJob?.status;
    this.#ports.display.update({
      nowMs: Date.now(),
      namespace: this.#key.namespace,
      name: this.#key.name,
      state: describeState(snapshot),
      revision: status?.revision,
      attempt: status?.attempt?.number,
      status: snapshot.job ?? this.#lastStatus,
      rates: this.#rates,
      problem: this.#problemToShow(),
      events: this.#events,
      output: this.#output,
      tips: this.#tips(),
      footer: this.#footer(),
    });
  }

  #problemToShow(): readonly string[] {
    const error = this.#snapshot?.flinkJob?.status?.error;
    if (this.#problem.length > 0 || error === undefined) {
      return this.#problem;
    }
    const [what = '', ...details] = this.#inSource(error.message).split('\n');
    return [`${error.code}: ${what}`, ...details.slice(0, 5), ...(error.remedy === undefined ? [] : [error.remedy])];
  }

  #footer(): string {
    const stage = this.#stage;
    if (stage.stage === 'Suspending') {
      return `Stopping with a savepoint for ${formatAge(Date.now() - stage.sinceMs)} …   Ctrl-C again leaves at once`;
    }
    return `Ctrl-C stops with a savepoint   ·   saves of ${path.basename(this.#options.fileName)} are applied`;
  }

  #farewell(): readonly string[] {
    const { startCommand } = this.#options;
    const status = this.#snapshot?.flinkJob?.status;
    const last = status?.lastCheckpoint;
    const again = `Start it again with: ${startCommand}`;
    if (this.#stage.stage === 'Leaving') {
      const left = this.#processes.length;
      const kept =
        last === undefined
          ? 'No checkpoint was completed.'
          : `Kept is ${last.kind.toLowerCase()} ${last.id}, ${formatAge(Date.now() - Date.parse(last.completedTime))} old: ${last.path}.`;
      return [
        left === 0
          ? 'Left at once: the processes were ended without waiting for the savepoint.'
          : `Left at once; ${left} processes are still ending.`,
        `${kept} What came after it is done again.`,
        again,
      ];
    }
    if (this.#snapshot?.flinkJob === undefined) {
      return [
        `${formatKey(this.#key)} is deleted. Its state stays in ${this.#manifest.spec.state.checkpointStorage}.`,
        `Start it again, from that state, with: ${startCommand}`,
      ];
    }
    const ended = status?.ended;
    const state = ended?.state ?? 'Suspended';
    const kept =
      ended?.checkpointId !== undefined
        ? `Its state is kept in ${last?.id === ended.checkpointId ? last.path : `checkpoint ${ended.checkpointId}`} below ${this.#manifest.spec.state.checkpointStorage}.`
        : last === undefined
          ? 'There is no state to keep: no checkpoint was completed.'
          : `Its state is kept in ${last.path} below ${this.#manifest.spec.state.checkpointStorage}.`;
    return [`${formatKey(this.#key)} is ${state}. ${kept}`, again];
  }
}
