import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { access, rename, rm } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { JobError } from '../core/job-error.ts';
import type { KeyedDescription } from '../core/job-graph/job-graph.ts';
import type { Snapshot } from '../state-reader/open-snapshot.ts';
import type { OperatorSnapshot } from '../state-reader/operator-snapshot.ts';
import type { Json } from '../state-reader/value-json.ts';
import { entryJson, listElementJson, otherStateJson } from './state-json.ts';
import { snapshotJson } from './state-report.ts';

interface ExportSelection {
  readonly uid: string | undefined;
  readonly state: string | undefined;
}

/**
 * Writes a line of JSON per row, after a first line that says what the snapshot is and what types its states have; `-` is standard output. The file is there when
 * it is whole. Says on standard error how far it is.
 */
export async function exportJsonLines(snapshot: Snapshot, file: string, { uid, state }: ExportSelection): Promise<void> {
  const operators = uid === undefined ? snapshot.operators : [snapshot.operator(uid)];
  if (state !== undefined && !operators[0]?.isListState(state)) {
    operators[0]?.declaration(state);
  }
  if (file === '-') {
    await writeLines(new Lines(process.stdout), { snapshot, operators, state });
    return;
  }
  await refuseExisting(file);
  const partial = `${file}.partial`;
  const stream = createWriteStream(partial);
  try {
    await writeLines(new Lines(stream), { snapshot, operators, state });
    stream.end();
    await finished(stream);
    await rename(partial, file);
  } catch (error) {
    stream.destroy();
    await rm(partial, { force: true });
    throw error;
  }
}

interface Export {
  readonly snapshot: Snapshot;
  readonly operators: readonly OperatorSnapshot[];
  readonly state: string | undefined;
}

async function writeLines(lines: Lines, { snapshot, operators, state }: Export): Promise<void> {
  await lines.write({ snapshot: snapshotJson(snapshot) });
  for (const operator of operators) {
    if (state === undefined) {
      for await (const json of otherStateJson(operator)) {
        await lines.write(json);
      }
    }
    if (state !== undefined && operator.isListState(state)) {
      for await (const element of operator.listElements({ state })) {
        await lines.write(listElementJson(operator, element));
      }
    } else if (operator.keyed !== undefined) {
      await writeEntries(lines, operator, operator.keyed, state);
    }
  }
  await lines.flush();
  process.stderr.write(`${lines.count - 1} rows\n`);
}

async function writeEntries(
  lines: Lines,
  operator: OperatorSnapshot,
  keyed: KeyedDescription,
  state: string | undefined,
): Promise<void> {
  let reportedAtMs = performance.now();
  for await (const batch of operator.batches({ state })) {
    for (const entry of batch) {
      await lines.write(entryJson(operator.uid, keyed, entry));
    }
    if (performance.now() - reportedAtMs > reportIntervalMs) {
      reportedAtMs = performance.now();
      const keyGroup = batch.at(-1)?.keyGroup ?? 0;
      process.stderr.write(
        `${lines.count - 1} rows; '${operator.uid}', key group ${keyGroup} of ${operator.state.maxParallelism}\n`,
      );
    }
  }
}

const reportIntervalMs = 2000;

/** Text goes to the stream in pieces, and waits when the stream is full. */
class Lines {
  readonly #stream: Writable;
  #text = '';
  count = 0;

  constructor(stream: Writable) {
    this.#stream = stream;
  }

  async write(json: Json): Promise<void> {
    this.#text += `${JSON.stringify(json)}\n`;
    this.count++;
    if (this.#text.length >= pieceLength) {
      await this.flush();
    }
  }

  async flush(): Promise<void> {
    const text = this.#text;
    this.#text = '';
    if (text !== '' && !this.#stream.write(text)) {
      // Rejects when the stream fails.
      await once(this.#stream, 'drain');
    }
  }
}

const pieceLength = 64 * 1024;

async function refuseExisting(file: string): Promise<void> {
  const isThere = await access(file).then(
    () => true,
    () => false,
  );
  if (isThere) {
    throw new JobError(`${file} exists already`, {
      domain: 'user',
      retry: 'never',
      code: 'FileExists',
      remedy: 'Name another file, or remove that one.',
    });
  }
}
