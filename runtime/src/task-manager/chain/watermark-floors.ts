import type { WatermarkFloor } from '../../core/checkpoint/manifest.ts';
import type { KeyGroupRange } from '../../core/key-groups/key-group.ts';
import { minTimestampMs } from '../../core/time/event-time.ts';

/**
 * How far event time had come, by key group, when the restored checkpoint was taken. Until the input's watermark is there again, records that
 * were late before are late again: a window that has fired is not opened once more. After a rescale one subtask may have several.
 */
export class WatermarkFloors {
  readonly #keyGroups: KeyGroupRange;
  #floors: readonly WatermarkFloor[];

  /** `restored` may reach beyond this subtask's key groups, and may leave some of them out. */
  constructor(keyGroups: KeyGroupRange, restored: readonly WatermarkFloor[]) {
    this.#keyGroups = keyGroups;
    this.#floors = cut(keyGroups, restored);
  }

  /** What holds for every key group. */
  get lowestMs(): number {
    let next = this.#keyGroups.first;
    let lowest = Number.POSITIVE_INFINITY;
    for (const { keyGroups, watermarkMs } of this.#floors) {
      if (keyGroups.first !== next) {
        return minTimestampMs;
      }
      next = keyGroups.last + 1;
      lowest = Math.min(lowest, watermarkMs);
    }
    return next === this.#keyGroups.last + 1 ? lowest : minTimestampMs;
  }

  get highestMs(): number {
    return this.#floors.reduce((highest, { watermarkMs }) => Math.max(highest, watermarkMs), minTimestampMs);
  }

  of(keyGroup: number): number {
    for (const { keyGroups, watermarkMs } of this.#floors) {
      if (keyGroup >= keyGroups.first && keyGroup <= keyGroups.last) {
        return watermarkMs;
      }
    }
    return minTimestampMs;
  }

  /** What the next checkpoint keeps, when the operator's own watermark has come this far. */
  at(watermarkMs: number): readonly WatermarkFloor[] {
    if (watermarkMs >= this.highestMs) {
      return watermarkMs === minTimestampMs ? [] : [{ keyGroups: this.#keyGroups, watermarkMs }];
    }
    const higher = this.#floors.filter((floor) => floor.watermarkMs > watermarkMs);
    const floors: WatermarkFloor[] = [];
    let next = this.#keyGroups.first;
    for (const floor of higher) {
      pushRange(floors, next, floor.keyGroups.first - 1, watermarkMs);
      floors.push(floor);
      next = floor.keyGroups.last + 1;
    }
    pushRange(floors, next, this.#keyGroups.last, watermarkMs);
    return floors;
  }
}

function pushRange(floors: WatermarkFloor[], first: number, last: number, watermarkMs: number): void {
  if (first <= last && watermarkMs > minTimestampMs) {
    floors.push({ keyGroups: { first, last }, watermarkMs });
  }
}

/** In the order of key groups, without those of others. */
function cut(range: KeyGroupRange, floors: readonly WatermarkFloor[]): readonly WatermarkFloor[] {
  return floors
    .filter(({ keyGroups }) => keyGroups.first <= range.last && keyGroups.last >= range.first)
    .map(({ keyGroups, watermarkMs }) => ({
      keyGroups: { first: Math.max(keyGroups.first, range.first), last: Math.min(keyGroups.last, range.last) },
      watermarkMs,
    }))
    .toSorted((a, b) => a.keyGroups.first - b.keyGroups.first);
}
