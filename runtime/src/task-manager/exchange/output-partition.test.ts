// Which consumer gets which record, when pages are sent, and what waits for credit; also the numbering of channels.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JobEdge, JobGraph, Partitioning } from '../../core/job-graph/job-graph.ts';
import { keyGroupOf, subtaskIndexOf } from '../../core/key-groups/key-group.ts';
import { pageSizeBytesMax } from '../../core/memory/page-size.ts';
import { PageReader } from '../../core/pages/page-reader.ts';
import { BinaryWriter } from '../../core/types/binary-writer.ts';
import { t } from '../../core/types/t.ts';
import type { Type } from '../../core/types/type.ts';
import type { ChannelFrame } from '../../transport/data/data-transport.ts';
import { inputChannels, outputChannels, planChannels } from './channel-plan.ts';
import type { GateElement } from './input-gate.ts';
import {
  batchRecordCountMax,
  initialBatchCredits,
  initialPageCredits,
  LocalOutputChannel,
  PagedOutputChannel,
} from './output-channel.ts';
import { OutputPartition } from './output-partition.ts';

const recordType = t.string as Type<unknown>;
const key = { select: (record: unknown) => record, keyType: recordType };
const pages = new PageReader();
const barrier = { checkpointId: 1, directory: 'chk-1', stopSources: false, format: 'Native', mode: 'ExactlyOnce' } as const;

function pagedChannels(count: number): { readonly channels: PagedOutputChannel[]; readonly frames: ChannelFrame[] } {
  const frames: ChannelFrame[] = [];
  const channels = Array.from(
    { length: count },
    (_, channel) =>
      new PagedOutputChannel({ channel, recordType, pageSizeBytes: pageSizeBytesMax, send: (frame) => frames.push(frame) }),
  );
  return { channels, frames };
}

function partition(partitioning: Partitioning, channels: PagedOutputChannel[], producerIndex = 0): OutputPartition {
  return new OutputPartition({ partitioning, edge: { recordType, key }, maxParallelism: 128, producerIndex, channels });
}

function recordsOf(frames: readonly ChannelFrame[], channel: number): string[] {
  return frames.flatMap((frame) => {
    if (frame.type !== 'Page' || frame.channel !== channel) {
      return [];
    }
    return pages.read(frame.records, recordType).records as string[];
  });
}

test('a hash edge sends every record to the subtask that owns its key group', () => {
  const { channels, frames } = pagedChannels(3);
  const words = Array.from({ length: 200 }, (_, index) => `word-${index}`);
  const output = partition('Hash', channels);
  output.write(words, undefined, 0);
  output.flush();
  const owner = (word: string) => {
    const writer = new BinaryWriter();
    t.string.encodeKey(word, writer);
    return subtaskIndexOf(keyGroupOf(writer.toBytes(), 128), 3, 128);
  };
  for (const channel of [0, 1, 2]) {
    assert.deepEqual(
      recordsOf(frames, channel),
      words.filter((word) => owner(word) === channel),
    );
  }
});

test('a rebalance edge deals records out in turn, each producer beginning at another consumer', () => {
  for (const [producerIndex, expected] of [
    [0, [['a', 'd'], ['b', 'e'], ['c']]],
    [1, [['c'], ['a', 'd'], ['b', 'e']]],
  ] as const) {
    const { channels, frames } = pagedChannels(3);
    const output = partition('Rebalance', channels, producerIndex);
    output.write(['a', 'b'], undefined, 0);
    output.write(['c', 'd', 'e'], undefined, 0);
    output.flush();
    assert.deepEqual(
      [0, 1, 2].map((channel) => recordsOf(frames, channel)),
      expected,
    );
  }
});

test('a page leaves when it is full, at a flush and before a barrier, and says since when records wait', () => {
  const { channels, frames } = pagedChannels(1);
  const output = partition('Forward', channels);
  output.write(['small'], undefined, 10);
  output.write(['another'], undefined, 20);
  assert.equal(frames.length, 0);
  assert.equal(output.unsentSinceMs, 10);
  output.flush();
  assert.deepEqual(recordsOf(frames, 0), ['small', 'another']);
  assert.equal(output.unsentSinceMs, undefined);
  output.write(['x'.repeat(pageSizeBytesMax)], undefined, 30);
  assert.equal(frames.length, 2);
  channels[0]?.addCredits(10);
  output.write(['last'], undefined, 40);
  output.sendBarrier(barrier);
  output.sendEnd();
  assert.deepEqual(
    frames.map(({ type }) => type),
    ['Page', 'Page', 'Page', 'Barrier', 'End'],
  );
});

test('without credit pages wait in order, and barriers behind them', () => {
  const { channels, frames } = pagedChannels(1);
  const output = partition('Forward', channels);
  for (let page = 0; page < initialPageCredits + 2; page++) {
    output.write([`${page}`], undefined, 0);
    output.flush();
  }
  output.sendBarrier(barrier);
  assert.equal(frames.length, initialPageCredits);
  assert.equal(output.hasRoom, false);
  channels[0]?.addCredits(1);
  assert.equal(frames.length, initialPageCredits + 1);
  channels[0]?.addCredits(1);
  assert.deepEqual(
    frames.slice(-2).map(({ type }) => type),
    ['Page', 'Barrier'],
  );
  assert.equal(output.hasRoom, true);
  assert.deepEqual(recordsOf(frames, 0), ['0', '1', '2', '3']);
});

test('within a thread the very records are handed over, in bounded batches with credit', () => {
  const elements: GateElement[] = [];
  const channel = new LocalOutputChannel((element) => elements.push(element));
  const record = { word: 'hello' };
  channel.write(record, undefined);
  channel.flush();
  assert.equal(elements[0]?.type === 'Batch' && elements[0].records[0], record);
  const fill = () => {
    while (channel.hasRoom) {
      channel.write(0, undefined);
    }
  };
  fill();
  assert.equal(elements.length, initialBatchCredits);
  channel.addCredits(1);
  assert.equal(channel.hasRoom, true);
  for (let round = 0; round < 10; round++) {
    fill();
    channel.addCredits(1);
  }
  const last = elements.at(-1);
  assert.equal(
    last?.type === 'Batch' && last.records.length,
    batchRecordCountMax,
    'as large as they get for who takes them at once',
  );
});

test('a broadcast edge sends every record to everybody', () => {
  const { channels, frames } = pagedChannels(3);
  const output = partition('Broadcast', channels);
  output.write(['a', 'b'], undefined, 0);
  output.flush();
  for (const channel of [0, 1, 2]) {
    assert.deepEqual(recordsOf(frames, channel), ['a', 'b']);
  }
});

test('event times travel with their records, and a page holds records with them or without', () => {
  const { channels, frames } = pagedChannels(1);
  const output = partition('Forward', channels);
  output.write(['a', 'b'], Float64Array.of(5, -7), 0);
  output.write(['c'], undefined, 0);
  output.write(['d'], Float64Array.of(2 ** 53 - 2), 0);
  channels[0]?.addCredits(9);
  output.flush();
  assert.deepEqual(
    frames.map((frame) => frame.type === 'Page' && pages.read(frame.records, recordType)),
    [
      { records: ['a', 'b'], timestamps: Float64Array.of(5, -7) },
      { records: ['c'], timestamps: undefined },
      { records: ['d'], timestamps: Float64Array.of(2 ** 53 - 2) },
    ],
  );
  const elements: GateElement[] = [];
  const local = new LocalOutputChannel((element) => elements.push(element));
  local.write('a', 1);
  local.write('b', undefined);
  local.flush();
  assert.deepEqual(elements, [
    { type: 'Batch', records: ['a'], timestamps: Float64Array.of(1) },
    { type: 'Batch', records: ['b'], timestamps: undefined },
  ]);
});

test('a watermark goes out behind its records with the next flush, the last of several, to every channel, and once', () => {
  const { channels, frames } = pagedChannels(2);
  const output = partition('Rebalance', channels);
  output.write(['a'], Float64Array.of(9), 0);
  output.watermark(5, false, 3);
  output.watermark(8, false, 4);
  assert.equal(frames.length, 0);
  assert.equal(output.unsentSinceMs, 0);
  output.flush();
  const watermark = (channel: number) => ({ type: 'Watermark', channel, timestampMs: 8, isIdle: false });
  assert.equal(frames[0]?.type, 'Page');
  assert.deepEqual(frames.slice(1), [watermark(0), watermark(1)]);
  output.watermark(8, false, 6);
  assert.equal(output.unsentSinceMs, undefined);
  output.watermark(8, true, 7);
  assert.equal(output.unsentSinceMs, 7);
  output.flush();
  assert.deepEqual(frames.at(-1), { ...watermark(1), isIdle: true });
});

test('a watermark is not left behind by a barrier or the end', () => {
  const { channels, frames } = pagedChannels(1);
  const output = partition('Forward', channels);
  output.watermark(5, false, 0);
  output.sendBarrier(barrier);
  output.watermark(6, false, 0);
  output.sendEnd();
  assert.deepEqual(
    frames.map((frame) => (frame.type === 'Watermark' ? frame.timestampMs : frame.type)),
    [5, 'Barrier', 6, 'End'],
  );
});

test('of watermarks that wait for credit only the last is kept', () => {
  const { channels, frames } = pagedChannels(1);
  const output = partition('Forward', channels);
  for (let page = 0; page <= initialPageCredits; page++) {
    output.write([`${page}`], undefined, 0);
    output.flush();
  }
  for (const timestampMs of [1, 2, 3]) {
    output.watermark(timestampMs, false, 0);
    output.flush();
  }
  output.sendBarrier(barrier);
  channels[0]?.addCredits(1);
  assert.deepEqual(
    frames.slice(initialPageCredits).map((frame) => (frame.type === 'Watermark' ? frame.timestampMs : frame.type)),
    ['Page', 3, 'Barrier'],
  );
});

test('a record that is not of the declared type is refused by name', () => {
  const { channels } = pagedChannels(1);
  assert.throws(() => partition('Forward', channels).write([42], undefined, 0), { domain: 'user' });
});

test('both ends of a channel find the same number, and no number is used twice', () => {
  const vertex = (id: string, parallelism: number) => ({ id, name: id, parallelism, maxParallelism: 128, operators: [] });
  const edge = (from: string, to: string, partitioning: Partitioning): JobEdge => ({
    id: `${from}->${to}`,
    from,
    to,
    fromOperator: from,
    inputOrdinal: 0,
    partitioning,
    recordType: { type: 'any' },
  });
  const graph: JobGraph = {
    name: 'plan',
    parallelism: 3,
    maxParallelism: 128,
    vertices: [vertex('a', 3), vertex('b', 3), vertex('c', 2)],
    edges: [edge('a', 'b', 'Forward'), edge('a', 'c', 'Rebalance'), edge('b', 'c', 'Hash')],
  };
  const plan = planChannels(graph);
  assert.equal(plan.channelCount, 3 + 6 + 6);
  const written = plan.edges.flatMap((each) => [0, 1, 2].flatMap((producer) => outputChannels(each, producer)));
  const read = plan.edges.flatMap((each) =>
    Array.from({ length: each.consumers }, (_, consumer) => inputChannels(each, consumer)).flat(),
  );
  const byNumber = (a: { number: number }, b: { number: number }) => a.number - b.number;
  assert.deepEqual(written.toSorted(byNumber), read.toSorted(byNumber));
  assert.deepEqual(
    written.map(({ number }) => number).toSorted((a, b) => a - b),
    Array.from({ length: 15 }, (_, number) => number),
  );
});
