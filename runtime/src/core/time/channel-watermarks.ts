import { assert } from '../assert.ts';
import { combineWatermarks, type WatermarkPart } from './combine-watermarks.ts';
import { maxTimestampMs, minTimestampMs } from './event-time.ts';

/**
 * The watermark of a subtask with several input channels. Pure bookkeeping; every change says whether the combined watermark or its idleness
 * changed.
 *
 * 1. It is the lowest of the active channels; idle and finished ones hold nothing up.
 * 2. It never goes back. A channel that was idle and comes back behind it holds it where it is until it has caught up.
 * 3. A channel's own watermark never goes back either: one that is lower than the last says only that the channel is active again.
 */
export class ChannelWatermarks {
  readonly #channels: { state: 'Active' | 'Idle' | 'Finished'; watermarkMs: number }[];
  #timestampMs = minTimestampMs;
  #isIdle = false;

  constructor(channelCount: number) {
    this.#channels = Array.from({ length: channelCount }, () => ({ state: 'Active', watermarkMs: minTimestampMs }));
  }

  get timestampMs(): number {
    return this.#timestampMs;
  }

  get isIdle(): boolean {
    return this.#isIdle;
  }

  /** What a channel says of itself, in one step. The last watermark of all means that the channel is finished. */
  update(channel: number, timestampMs: number, isIdle: boolean): boolean {
    const part = this.#channel(channel);
    if (part.state === 'Finished') {
      return false;
    }
    part.watermarkMs = Math.max(part.watermarkMs, timestampMs);
    part.state = part.watermarkMs === maxTimestampMs ? 'Finished' : isIdle ? 'Idle' : 'Active';
    return this.#combine();
  }

  advance(channel: number, timestampMs: number): boolean {
    return this.update(channel, timestampMs, false);
  }

  markIdle(channel: number): boolean {
    return this.update(channel, minTimestampMs, true);
  }

  markActive(channel: number): boolean {
    return this.update(channel, minTimestampMs, false);
  }

  /** Nothing follows from this channel. */
  finish(channel: number): boolean {
    return this.update(channel, maxTimestampMs, false);
  }

  #combine(): boolean {
    const combined = combineWatermarks(this.#channels satisfies readonly WatermarkPart[]);
    const timestampMs = Math.max(this.#timestampMs, combined.timestampMs);
    const hasChanged = timestampMs !== this.#timestampMs || combined.isIdle !== this.#isIdle;
    this.#timestampMs = timestampMs;
    this.#isIdle = combined.isIdle;
    return hasChanged;
  }

  #channel(channel: number): { state: 'Active' | 'Idle' | 'Finished'; watermarkMs: number } {
    const part = this.#channels[channel];
    assert(part !== undefined, `no channel ${channel}`);
    return part;
  }
}
