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
  assert.deepEqual(reading.reader.poll(10), ['a2']);
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
