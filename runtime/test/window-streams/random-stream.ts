import { maxTimestampMs, minTimestampMs, shiftTimestamp } from '../../src/core/time/event-time.ts';
import type { WindowAssigner } from '../../src/core/windows/window-assigner.ts';
import type { Random } from '../simulation/random.ts';
import type { WindowRecord, WindowStep } from './window-model.ts';

/** How a window keeps its records: as a list, as an accumulator that can be merged, or as one that cannot. */
export type ContentsType = 'Elements' | 'MergeableList' | 'List';

/** A window operator and what is given to it. */
export interface WindowStream {
  readonly assigner: WindowAssigner;
  readonly allowedLatenessMs: number;
  readonly contents: ContentsType;
  readonly isLateRead: boolean;
  readonly steps: readonly WindowStep[];
}

export function randomStream(random: Random): WindowStream {
  const assigner = randomAssigner(random);
  return {
    assigner,
    allowedLatenessMs: random.pick([0, 0, 1, 7, 30]),
    contents:
      assigner.type === 'Session'
        ? random.pick(['Elements', 'MergeableList'])
        : random.pick(['Elements', 'MergeableList', 'List']),
    isLateRead: random.chance(0.5),
    steps: randomSteps(random),
  };
}

function randomAssigner(random: Random): WindowAssigner {
  const domain = random.chance(0.2) ? 'ProcessingTime' : 'EventTime';
  const sizeMs = random.between(1, 24);
  switch (random.between(0, 9)) {
    case 0:
      return { type: 'Global', domain: 'EventTime' };
    case 1:
    case 2:
      return { type: 'Tumbling', domain, sizeMs, offsetMs: random.between(1 - sizeMs, sizeMs - 1) };
    case 3:
    case 4:
    case 5: {
      const slideMs = random.chance(0.4) ? random.between(1, 30) : Math.ceil(sizeMs / random.between(1, 4));
      return { type: 'Sliding', domain, sizeMs, slideMs, offsetMs: random.between(1 - slideMs, slideMs - 1) };
    }
    default:
      return { type: 'Session', domain, gapMs: random.between(1, 15) };
  }
}

function randomSteps(random: Random): readonly WindowStep[] {
  const keys = ['a', 'b', 'c'].slice(0, random.between(1, 3));
  const scatterMs = random.pick([0, 5, 40]);
  const boundMs = random.pick([0, 3, scatterMs]);
  let nowMs = random.between(-60, 20);
  let value = 0;
  let latestMs = minTimestampMs;
  const steps: WindowStep[] = [];
  for (let step = random.between(1, 24); step > 0; step--) {
    if (random.chance(0.6)) {
      const records = Array.from({ length: random.between(1, 6) }, (): WindowRecord => {
        nowMs += random.between(0, 9);
        const timestampMs = nowMs - random.between(0, scatterMs);
        latestMs = Math.max(latestMs, timestampMs);
        return { key: random.pick(keys), value: value++, timestampMs };
      });
      steps.push({ type: 'Records', records });
    } else {
      nowMs += random.chance(0.1) ? 100 : 0;
      steps.push({
        type: 'Watermark',
        timestampMs: random.chance(0.9) ? shiftTimestamp(latestMs, -boundMs - 1) : nowMs + random.between(-50, 50),
      });
    }
  }
  return [...steps, { type: 'Watermark', timestampMs: maxTimestampMs }];
}
