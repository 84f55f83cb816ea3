/**
 * A seeded random walk over a whole alignment group: several sources with several splits, their clocks, the JobManager, and a network that
 * loses, delays and repeats what they say to each other. Checked after every step: the watermark never goes back and never passes the own
 * watermark of a split that is there to be waited for; and after the network has gone quiet, or is gone for good, everything is read to its end.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Random } from '../../../test/simulation/random.ts';
import { AlignmentGroups, type AlignmentWord } from './alignment-groups.ts';
import { maxTimestampMs, minTimestampMs } from './event-time.ts';
import { SplitWatermarks } from './split-watermarks.ts';

const walkCount = 400;
const stepCount = 250;
const idleMs = 700;
const maxDriftMs = 300;
const outOfOrdernessMs = 20;

interface SplitModel {
  readonly splitId: string;
  /** What is left to read; each entry is the event time of one record, and `quietMs` what passes before there is one. */
  remaining: { readonly timestampMs: number; readonly quietMs: number }[];
  nextAtMs: number;
  maxTimestampMs: number | undefined;
  isOver: boolean;
}

class SourceModel {
  readonly name: string;
  readonly splits: readonly SplitModel[];
  readonly canPauseSplits: boolean;
  watermarks: SplitWatermarks;
  isBlocked = false;
  emittedMs = minTimestampMs;

  constructor(name: string, random: Random) {
    this.name = name;
    this.canPauseSplits = random.chance(0.6);
    this.splits = Array.from({ length: random.between(0, 4) }, (_, index) => splitModel(`${name}-${index}`, random));
    this.watermarks = this.#open(0);
  }

  /** As after a failure: what the checkpoint knows comes back, clocks and states do not. */
  restore(nowMs: number): void {
    this.watermarks = this.#open(nowMs);
    this.isBlocked = false;
    this.emittedMs = minTimestampMs;
    for (const split of this.splits) {
      // The reader finds out anew that there is nothing more.
      split.isOver = false;
    }
  }

  #open(nowMs: number): SplitWatermarks {
    return new SplitWatermarks({
      strategy: { outOfOrdernessMs, idleMs, alignment: { group: 'g', maxDriftMs } },
      splits: this.splits.map(({ splitId, maxTimestampMs }) => ({ splitId, maxTimestampMs })),
      canPauseSplits: this.canPauseSplits,
      nowMs,
    });
  }

  get isOver(): boolean {
    return this.splits.every(({ isOver }) => isOver);
  }

  /** What the reader would do: gives a record of a split that has one and may be read, or says that a split is over. */
  read(nowMs: number, random: Random): boolean {
    if (this.isBlocked || this.watermarks.isReaderPaused) {
      return false;
    }
    const readable = this.splits.filter(
      ({ splitId, isOver, nextAtMs }) => !isOver && nextAtMs <= nowMs && !this.watermarks.pausedSplits.has(splitId),
    );
    if (readable.length === 0) {
      return false;
    }
    const split = random.pick(readable);
    const record = split.remaining.shift();
    if (record === undefined) {
      split.isOver = true;
      this.watermarks.finish(split.splitId, nowMs);
      return true;
    }
    split.maxTimestampMs = Math.max(split.maxTimestampMs ?? record.timestampMs, record.timestampMs);
    split.nextAtMs = nowMs + (split.remaining[0]?.quietMs ?? 0);
    this.watermarks.records(split.splitId, record.timestampMs, nowMs);
    return true;
  }

  tick(nowMs: number): void {
    // Of a split that it must not read a reader does not know whether it has something.
    const readable = this.splits.filter(
      ({ splitId, nextAtMs }) => nextAtMs <= nowMs && !this.watermarks.pausedSplits.has(splitId),
    );
    this.watermarks.tick(nowMs, (splitId) => readable.some((split) => split.splitId === splitId));
    const { timestampMs, isIdle } = this.watermarks.watermark();
    assert.ok(timestampMs >= this.emittedMs, 'the watermark went back');
    if (timestampMs > this.emittedMs && !isIdle && timestampMs !== maxTimestampMs) {
      const lowestMs = this.watermarks.minimumMs();
      assert.ok(lowestMs !== undefined && timestampMs <= lowestMs, 'the watermark passed a split that is to be waited for');
    }
    this.emittedMs = timestampMs;
    if (timestampMs === maxTimestampMs) {
      assert.ok(this.isOver || this.splits.length === 0, 'the last watermark before the end');
    }
    assert.ok(!isIdle || this.watermarks.pausedSplits.size === 0, 'a source with a paused split is idle');
  }
}

function splitModel(splitId: string, random: Random): SplitModel {
  let timestampMs = random.between(-2_000, 5_000);
  const remaining = Array.from({ length: random.between(0, 12) }, () => {
    timestampMs += random.between(-15, 400);
    return { timestampMs, quietMs: random.chance(0.15) ? random.between(0, 4 * idleMs) : 0 };
  });
  return { splitId, remaining, nextAtMs: random.chance(0.2) ? 2 * idleMs : 0, maxTimestampMs: undefined, isOver: false };
}

function walk(seed: number): void {
  const random = new Random(seed);
  const sources = Array.from({ length: random.between(1, 4) }, (_, index) => new SourceModel(`s${index}`, random));
  let lossProbability = random.pick([0, 0.3, 1]);
  const group = new AlignmentGroups();
  const underWay: AlignmentWord[] = [];
  let nowMs = 0;

  const exchange = () => {
    for (const source of sources) {
      if (!random.chance(lossProbability)) {
        group.report({ group: 'g', source: source.name, minimumMs: source.watermarks.minimumMs() }, nowMs);
      }
    }
    underWay.push(...group.words(nowMs));
    while (underWay.length > 0 && random.chance(0.8)) {
      const word = underWay.shift();
      if (word !== undefined && !random.chance(lossProbability)) {
        sources.find(({ name }) => name === word.source)?.watermarks.setOthersMinimum(word.othersMinimumMs, nowMs);
      }
    }
  };

  for (let step = 0; step < stepCount; step++) {
    nowMs += random.between(0, 60);
    const source = random.pick(sources);
    const action = random.next();
    if (action < 0.6) {
      source.read(nowMs, random);
    } else if (action < 0.7) {
      source.isBlocked = !source.isBlocked;
      source.watermarks[source.isBlocked ? 'stopClock' : 'startClock'](nowMs);
    } else if (action < 0.72) {
      source.restore(nowMs);
    } else if (action < 0.85) {
      exchange();
    }
    for (const each of sources) {
      each.tick(nowMs);
    }
  }

  // From now on nothing blocks. Whatever the network does, everybody gets to the end, in bounded time.
  for (const source of sources) {
    source.isBlocked = false;
    source.watermarks.startClock(nowMs);
  }
  lossProbability = random.pick([lossProbability, 1]);
  const deadlineMs = nowMs + 400_000;
  while (!sources.every((source) => source.isOver)) {
    assert.ok(nowMs < deadlineMs, `nothing moves: ${JSON.stringify(sources.map(({ splits }) => splits))}`);
    let hasRead = false;
    for (const source of sources) {
      hasRead = source.read(nowMs, random) || hasRead;
    }
    if (!hasRead) {
      nowMs += 200;
      exchange();
    }
    for (const source of sources) {
      source.tick(nowMs);
    }
  }
  for (const source of sources.filter(({ splits }) => splits.length > 0)) {
    assert.deepEqual(source.watermarks.watermark(), { timestampMs: maxTimestampMs, isIdle: false });
  }
}

test(`in ${walkCount} random walks event time never goes back and no group stands still`, () => {
  for (let seed = 1; seed <= walkCount; seed++) {
    try {
      walk(seed);
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
  }
});
