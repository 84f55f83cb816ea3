import { rm } from 'node:fs/promises';
import type { Problem } from '../../api/flink-job-status.ts';
import type { Clock } from '../../clock.ts';
import { isAlive } from '../../process-identity/process-identity.ts';
import { listIfPresent, readFileIfPresent, writeFileAtomically } from '../../store/atomic-file.ts';
import { processEndedCode } from '../last-words.ts';
import type { ProcessState } from '../platform.ts';
import { findByConfigPath, type ProcessExit } from './child-process.ts';
import type { JobDirectory } from './job-directory.ts';
import { lastProblem } from './log-files.ts';
import { backOffUntilMs, failuresAfter, ProcessRecord } from './process-record.ts';

/** The records of processes on disk, held against what has become of the processes. Starts and ends none. */
export class ProcessRecords {
  readonly #clock: Clock;
  /** How children of this very process end, by pod uid; it is written down by the next look at the records. */
  readonly #children = new Map<string, Promise<ProcessExit>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A process that this one started; its exit is known better than the system tells it. */
  started(podUid: string, exit: Promise<ProcessExit>): void {
    this.#children.set(podUid, exit);
  }

  /** All records, each with what has become of its process. */
  async current(directory: JobDirectory): Promise<readonly ProcessRecord[]> {
    const files = (await listIfPresent(directory.records)).filter((file) => file.endsWith('.json')).sort();
    const records: ProcessRecord[] = [];
    for (const file of files) {
      const record = await this.read(directory, file.slice(0, -'.json'.length));
      if (record !== undefined) {
        records.push(await this.#refresh(directory, record));
      }
    }
    return records;
  }

  async read(directory: JobDirectory, slot: string): Promise<ProcessRecord | undefined> {
    const text = await readFileIfPresent(directory.record(slot));
    return text === undefined ? undefined : ProcessRecord.parse(JSON.parse(text));
  }

  async write(directory: JobDirectory, record: ProcessRecord): Promise<void> {
    await writeFileAtomically(directory.record(record.slot), `${JSON.stringify(record, undefined, 2)}\n`);
  }

  /** Finds out about processes that ended while nobody waited for them, and about ones that nobody wrote down. */
  async #refresh(directory: JobDirectory, record: ProcessRecord): Promise<ProcessRecord> {
    if (record.exit !== undefined) {
      return record;
    }
    if (record.process !== undefined) {
      return (await isAlive(record.process))
        ? record
        : this.recordExit(directory, record, { kind: 'Unknown', text: 'an unknown exit code' });
    }
    const found = await findByConfigPath(record.configPath);
    if (found === undefined) {
      return this.recordExit(directory, record, { kind: 'Unknown', text: 'an unknown exit code' });
    }
    const adopted = { ...record, process: found };
    await this.write(directory, adopted);
    return adopted;
  }

  async recordExit(directory: JobDirectory, record: ProcessRecord, exit: ProcessExit): Promise<ProcessRecord> {
    // The system may show a child as gone before Node has said how it went; that follows at once.
    const known = (await this.#children.get(record.podUid)) ?? exit;
    this.#children.delete(record.podUid);
    const atMs = this.#clock.nowMs();
    const problem = known.kind === 'Ok' ? undefined : await problemOf(record, known);
    const next = { ...record, failures: failuresAfter(record, atMs), exit: { kind: known.kind, atMs, problem } };
    await this.write(directory, next);
    return next;
  }

  /** The record before, if the place is free and its time has come. */
  async startable(directory: JobDirectory, slot: string): Promise<ProcessRecord | undefined | 'No'> {
    const record = await this.read(directory, slot);
    if (record === undefined) {
      return undefined;
    }
    const state = stateOf(await this.#refresh(directory, record));
    return state.state === 'BackOff' && this.#clock.nowMs() >= state.untilMs ? await this.read(directory, slot) : 'No';
  }

  /** The process is gone: nothing of it stays but its log. */
  async forget(directory: JobDirectory, record: ProcessRecord): Promise<void> {
    this.#children.delete(record.podUid);
    await rm(record.configPath, { force: true });
    await rm(directory.local(record.slot), { recursive: true, force: true });
    await rm(directory.preFlightOutput(record.slot), { force: true });
    await rm(directory.record(record.slot), { force: true });
    const left = await listIfPresent(directory.records);
    if (record.attemptNumber > 0 && !left.some((file) => file.includes(`-a${record.attemptNumber}-`))) {
      await rm(directory.attempt(record.attemptNumber), { recursive: true, force: true });
    }
  }
}

/** What it said last, unless a signal ended it: then its last words were about something else. */
export async function problemOf(record: ProcessRecord, exit: ProcessExit): Promise<Problem> {
  const said = exit.text.startsWith('signal') ? undefined : await lastProblem(record.logPath, record.logOffset);
  if (said !== undefined && said.code !== processEndedCode) {
    return said;
  }
  const words = said === undefined ? '' : `; it said: ${said.message}`;
  return {
    code: processEndedCode,
    message: `the ${record.role} ended with ${exit.text}${words}`,
    remedy: `Its log is ${record.logPath}.`,
  };
}

export function stateOf(record: ProcessRecord): ProcessState {
  const { exit, process: known } = record;
  if (exit === undefined) {
    return { state: 'Alive', pid: known?.pid ?? 0, startedAtMs: record.startedAtMs };
  }
  const fact = { kind: exit.kind, problem: exit.problem };
  return exit.kind === 'Unusable' || exit.kind === 'Fenced'
    ? { state: 'Ended', exit: fact }
    : { state: 'BackOff', untilMs: backOffUntilMs(record), exit: fact };
}
