// What lies between two subtasks when the second is slow, and how long a barrier needs through it: on a clock that only the consumer's work moves. The
// producer is a task that writes a slice whenever it has room.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PageReader } from '../../core/pages/page-reader.ts';
import { t } from '../../core/types/t.ts';
import type { Type } from '../../core/types/type.ts';
import { SliceSize } from '../slice-size.ts';
import { InputGate } from './input-gate.ts';
import { initialPageCredits, LocalOutputChannel, type OutputChannel, PagedOutputChannel } from './output-channel.ts';

const barrier = { checkpointId: 1, directory: 'chk-1', stopSources: false, format: 'Native', mode: 'ExactlyOnce' } as const;
const string = t.string as Type<unknown>;
const pageSizeBytes = 32 * 1024;

interface Transit {
  /** From sending the barrier to the checkpoint. */
  readonly barrierMs: number;
  /** Records between the two when the barrier was sent. */
  readonly inFlight: number;
}

/** Lets the consumer work for a while, then sends a barrier. */
function transit(options: {
  readonly isPaged: boolean;
  readonly producers: number;
  readonly recordMs: number;
  readonly recordSizeBytes: number;
  readonly warmUpMs: number;
}): Transit {
  const { isPaged, producers, recordMs, recordSizeBytes, warmUpMs } = options;
  const record = 'x'.repeat(recordSizeBytes);
  let nowMs = 0;
  const monotonicMs = () => nowMs;
  let written = 0;
  let read = 0;
  const channels: OutputChannel[] = [];
  const slices = Array.from({ length: producers }, () => new SliceSize({ initialCount: 1, countMax: 512 }));
  const gate = new InputGate(producers, (inputIndex) => channels[inputIndex]?.addCredits(1), monotonicMs);
  for (let index = 0; index < producers; index++) {
    channels.push(
      isPaged
        ? new PagedOutputChannel({
            ...{ channel: index, recordType: string, pageSizeBytes, monotonicMs },
            send: (frame) => gate.add(index, frame),
          })
        : new LocalOutputChannel((element) => gate.add(index, element), monotonicMs),
    );
  }
  const produce = () => {
    for (const [index, channel] of channels.entries()) {
      const slice = slices[index];
      while (channel.hasRoom && slice !== undefined) {
        const { count } = slice;
        channel.writeAll(new Array(count).fill(record), undefined);
        written += count;
        slice.measured({ count, durationMs: 0, queuedElementCount: channel.hasRoom ? 0 : channel.queuedElementCount });
      }
    }
  };
  const pages = new PageReader();
  let sentAtMs: number | undefined;
  let inFlight = 0;
  for (;;) {
    if (sentAtMs === undefined) {
      produce();
      if (nowMs >= warmUpMs) {
        sentAtMs = nowMs;
        inFlight = written - read;
        for (const channel of channels) {
          channel.sendBarrier(barrier);
        }
      }
    }
    const event = gate.poll();
    assert.ok(event !== undefined, 'there is always something to read');
    if (event.type === 'Checkpoint') {
      assert.equal(read, written, 'the barrier overtakes nothing');
      return { barrierMs: nowMs - (sentAtMs ?? 0), inFlight };
    }
    assert.ok(event.type === 'Batch' || event.type === 'Page');
    const count = event.type === 'Batch' ? event.records.length : pages.read(event.records, string).records.length;
    // One by one, because the producer runs on the same thread between two slices.
    for (let index = 0; index < count; index++) {
      read += 1;
      nowMs += recordMs;
      if (sentAtMs === undefined) {
        produce();
      }
    }
  }
}

for (const isPaged of [true, false]) {
  const where = isPaged ? 'between threads and processes' : 'within a thread';
  test(`${where}, a barrier passes a consumer of 10 ms a record within about a second`, () => {
    const { barrierMs, inFlight } = transit({ isPaged, producers: 1, recordMs: 10, recordSizeBytes: 100, warmUpMs: 60_000 });
    assert.ok(barrierMs <= 1_000, `${barrierMs} ms for ${inFlight} records`);
  });

  test(`${where}, several producers do not add up`, () => {
    const { barrierMs, inFlight } = transit({ isPaged, producers: 8, recordMs: 10, recordSizeBytes: 100, warmUpMs: 120_000 });
    assert.ok(barrierMs <= 1_500, `${barrierMs} ms for ${inFlight} records`);
  });

  test(`${where}, of records that take longer than a page should only a few lie before the consumer`, () => {
    const { barrierMs, inFlight } = transit({ isPaged, producers: 1, recordMs: 300, recordSizeBytes: 200_000, warmUpMs: 60_000 });
    // What has credit, what waits for it, and one more that the producer has begun.
    assert.ok(inFlight <= initialPageCredits + 2, `${inFlight} records`);
    assert.ok(barrierMs <= 300 * (initialPageCredits + 2));
  });

  test(`${where}, a consumer that keeps up gets whole pages`, () => {
    const { inFlight } = transit({ isPaged, producers: 1, recordMs: 0.001, recordSizeBytes: 100, warmUpMs: 1_000 });
    assert.ok(inFlight >= (isPaged ? 2 * 300 : 2 * 512), `${inFlight} records`);
  });
}
