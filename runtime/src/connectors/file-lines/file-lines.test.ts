// Lines of real files: splits, positions, characters on chunk borders, repetition.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { SourceReading } from '../../../test/fakes/source-reading.ts';
import { fileLines } from './file-lines.ts';

let directory: string;

before(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), 'file-lines-')));
  await mkdir(join(directory, 'texts', 'below'), { recursive: true });
  await writeFile(join(directory, 'texts', 'a.txt'), 'a1\na2\r\n\na4');
  await writeFile(join(directory, 'texts', 'b.txt'), 'b1\nb2\n');
  await writeFile(join(directory, 'texts', 'c.csv'), 'c1\n');
  await writeFile(join(directory, 'texts', '.hidden.txt'), 'hidden\n');
  await writeFile(join(directory, 'texts', 'below', 'd.txt'), 'd1\n');
  await writeFile(join(directory, 'empty.txt'), '');
  // Two-byte characters at odd offsets: every chunk border falls into one.
  await writeFile(join(directory, 'long.txt'), `x${'ž'.repeat(100_000)}\nlast ů\n`);
});

after(() => rm(directory, { recursive: true, force: true }));

const path = (...names: string[]) => join(directory, ...names);

test('the files of a directory that end in the suffix are splits, each file once', async () => {
  const source = fileLines({ path: [path('texts'), path('texts', 'a.txt')], suffix: '.txt' });
  const splits = await source.discoverSplits();
  assert.deepEqual(
    splits.map(({ id }) => id),
    [path('texts', 'a.txt'), path('texts', 'b.txt')],
  );
  assert.deepEqual(await new SourceReading(source, splits).read(), ['a1', 'a2', '', 'a4', 'b1', 'b2']);
});

test('a reader that continues from its positions gives the lines that follow, for every place to stop', async () => {
  const source = fileLines({ path: path('texts') });
  const whole = await (await SourceReading.fromStart(source)).read();
  assert.equal(whole.length, 7);
  for (let count = 0; count <= whole.length; count++) {
    const first = await SourceReading.fromStart(source);
    const head = await first.read(count, 1);
    const positions = first.positions();
    await first.close();
    const second = new SourceReading(source, positions);
    assert.deepEqual([...head, ...(await second.read())], whole);
    await second.close();
  }
});

test('characters stay whole where chunks of a file meet, and offsets count bytes', async () => {
  const source = fileLines({ path: path('long.txt') });
  const reading = await SourceReading.fromStart(source);
  const [long] = await reading.read(1, 1);
  assert.equal(long, `x${'ž'.repeat(100_000)}`);
  const resumed = new SourceReading(source, reading.positions());
  assert.deepEqual(resumed.positions()[0]?.position, { round: 0, offset: 200_002 });
  assert.deepEqual(await resumed.read(), ['last ů']);
});

test('a repeated input has no end, counts its rounds and continues in the middle of one', async () => {
  const source = fileLines({ path: [path('texts', 'b.txt'), path('texts', 'c.csv')], repeat: true });
  assert.equal(source.bounded, false);
  const reading = await SourceReading.fromStart(source);
  const lines = await reading.read(7, 1);
  assert.deepEqual(lines, ['b1', 'b2', 'c1', 'b1', 'b2', 'c1', 'b1']);
  assert.deepEqual(
    reading.positions().map(({ position }) => position.round),
    [2, 2],
  );
  const resumed = new SourceReading(source, reading.positions());
  assert.deepEqual((await resumed.read(4, 1)).toSorted(), ['b1', 'b2', 'b2', 'c1']);
});

test('a repeated input without any line fails instead of turning in circles', async () => {
  const reading = await SourceReading.fromStart(fileLines({ path: path('empty.txt'), repeat: true }));
  await assert.rejects(reading.read(1), { code: 'InputFileEmpty' });
});

test('a subtask without splits has no input', async () => {
  assert.deepEqual(await new SourceReading(fileLines({ path: path('texts') }), []).read(), []);
});

test('lines per second are limited', async () => {
  let nowMs = 0;
  const source = fileLines({ path: path('texts', 'a.txt'), linesPerSecond: 20 });
  const reading = new SourceReading(source, await source.discoverSplits(), () => nowMs);
  nowMs = 50;
  assert.deepEqual(await reading.read(1), ['a1']);
  assert.equal(reading.reader.poll(10), 'Pending');
  nowMs = 100;
  assert.deepEqual(reading.reader.poll(10), { splitId: path('texts', 'a.txt'), records: ['a2'] });
  await reading.close();
});

test('what cannot be read is named', async () => {
  await assert.rejects(fileLines({ path: path('nowhere') }).discoverSplits(), {
    code: 'InputFileUnreadable',
    message: /nowhere/,
  });
  await assert.rejects(fileLines({ path: path('texts'), suffix: '.xml' }).discoverSplits(), {
    code: 'NoInputFiles',
    message: /\.xml/,
  });
  const gone = new SourceReading(fileLines({ path: path('texts') }), [
    { id: path('gone.txt'), position: { round: 0, offset: 0 } },
  ]);
  await assert.rejects(gone.read(1), { code: 'InputFileUnreadable', message: /gone\.txt/ });
  assert.throws(() => fileLines({ path: undefined }), { code: 'InvalidOption', message: /'path' is not set/ });
});

/** Lines whose number is their event time, about three chunks of them. */
async function writeTimes(name: string, first: number, every: number): Promise<string> {
  const lines = Array.from({ length: 20_000 }, (_, index) => String(first + index * every).padStart(9, '0'));
  await writeFile(path(name), `${lines.join('\n')}\n`);
  return path(name);
}

async function readByEventTime(paths: readonly string[]): Promise<readonly { splitId: string; first: number; last: number }[]> {
  const reading = await SourceReading.fromStart(fileLines({ path: paths }));
  const polls: { splitId: string; first: number; last: number }[] = [];
  reading.onPolled = ({ splitId, records }) => {
    const last = Number(records.at(-1));
    if (records.length > 0) {
      polls.push({ splitId, first: Number(records[0]), last });
      reading.watermarks.set(splitId, last);
    }
  };
  const records = await reading.read();
  assert.equal(new Set(records).size, paths.length * 20_000);
  await reading.close();
  return polls;
}

test('files of the same time are read side by side', async () => {
  const paths = [await writeTimes('p0', 0, 3), await writeTimes('p1', 1, 3), await writeTimes('p2', 2, 3)];
  const reached = new Map(paths.map((each) => [each, 0]));
  // Each chunk holds about 6,500 lines.
  for (const { splitId, last } of await readByEventTime(paths)) {
    reached.set(splitId, last);
    assert.ok(Math.max(...reached.values()) - Math.min(...reached.values()) < 2 * 3 * 6_600);
  }
});

test('files that follow each other in time are read one after the other, but for the first chunk of each', async () => {
  const paths = [await writeTimes('day3', 40_000, 1), await writeTimes('day1', 0, 1), await writeTimes('day2', 20_000, 1)];
  const polls = await readByEventTime(paths);
  let watermarkMs = 0;
  for (const { first, last } of polls.filter((poll) => poll.first % 20_000 > 6_600)) {
    assert.ok(first > watermarkMs);
    watermarkMs = last;
  }
});

test('of a paused file nothing is given, and each of its lines once when it goes on', async () => {
  const paths = [await writeTimes('one', 0, 1), await writeTimes('two', 20_000, 1)];
  const reading = await SourceReading.fromStart(fileLines({ path: paths }));
  const lines: string[] = [];
  const splitIds = reading.positions().map(({ id }) => id);
  let paused: string | undefined;
  let polls = 0;
  reading.onPolled = ({ splitId, records, isLast }) => {
    lines.push(...records);
    assert.notEqual(splitId, paused);
    // When one has ended there is nobody left to read while the other waits.
    const isAlternating = !isLast && reading.endedSplits.size === 0 && ++polls % 3 === 0;
    paused = isAlternating ? splitIds[polls % 2] : undefined;
    reading.reader.pauseSplits?.(new Set(paused === undefined ? [] : [paused]));
  };
  await reading.read(39_000, 700);
  reading.onPolled = ({ records }) => lines.push(...records);
  reading.reader.pauseSplits?.(new Set(splitIds));
  assert.equal(reading.reader.poll(1), 'Pending');
  reading.reader.pauseSplits?.(new Set());
  await reading.read();
  assert.equal(lines.length, 40_000);
  assert.equal(new Set(lines).size, 40_000);
  await reading.close();
});

test('a line that is longer than a chunk is read to its end before another file has its turn', async () => {
  await writeFile(path('short.txt'), 'short\n'.repeat(3));
  const reading = await SourceReading.fromStart(fileLines({ path: [path('long.txt'), path('short.txt')] }));
  reading.watermarks.set(path('long.txt'), 10);
  reading.onPolled = ({ splitId }) => reading.watermarks.set(splitId, (reading.watermarks.get(splitId) ?? 0) + 20);
  const records = await reading.read(Number.POSITIVE_INFINITY, 1);
  assert.deepEqual(
    records.map((line) => line.length).toSorted((a, b) => a - b),
    [5, 5, 5, 6, 100_001],
  );
  assert.equal(reading.endedSplits.size, 2);
  await reading.close();
});

test('what is left of all files is pending, once their sizes are known; of files that repeat nobody can say', async () => {
  await mkdir(path('pending'));
  await writeFile(path('pending', 'a'), 'one\ntwo\n');
  await writeFile(path('pending', 'b'), 'three\n');
  const reading = await SourceReading.fromStart(fileLines({ path: path('pending') }));
  await reading.read(1, 1);
  while (reading.reader.pendingBytes?.() === undefined) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(reading.reader.pendingBytes?.(), 10);
  await reading.read();
  assert.equal(reading.reader.pendingBytes?.(), 0);
  await reading.close();
  const repeating = await SourceReading.fromStart(fileLines({ path: path('pending'), repeat: true }));
  await repeating.read(1, 1);
  assert.equal(repeating.reader.pendingBytes?.(), undefined);
  await repeating.close();
});
