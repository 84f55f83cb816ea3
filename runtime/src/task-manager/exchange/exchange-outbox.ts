import type { ChannelCredit, ChannelFrame } from '../../transport/data/data-transport.ts';

/**
 * What a thread has for one neighbour (another thread, or the main thread for other processes), gathered while its tasks run and posted
 * together: a message between threads costs as much as many records.
 */
export class ExchangeOutbox {
  readonly #post: (message: OutboxMessage, transfer: readonly ArrayBuffer[]) => void;
  #frames: ChannelFrame[] = [];
  readonly #credits = new Map<number, number>();

  constructor(post: (message: OutboxMessage, transfer: readonly ArrayBuffer[]) => void) {
    this.#post = post;
  }

  addFrame(frame: ChannelFrame): void {
    this.#frames.push(frame);
  }

  addCredit(channel: number): void {
    this.#credits.set(channel, (this.#credits.get(channel) ?? 0) + 1);
  }

  flush(): void {
    if (this.#frames.length > 0) {
      const frames = this.#frames;
      this.#frames = [];
      this.#post({ type: 'Frames', frames }, pageBuffers(frames));
    }
    if (this.#credits.size > 0) {
      const credits = [...this.#credits].map(([channel, pages]) => ({ channel, pages }));
      this.#credits.clear();
      this.#post({ type: 'Credits', credits }, []);
    }
  }
}

type OutboxMessage =
  | { readonly type: 'Frames'; readonly frames: readonly ChannelFrame[] }
  | { readonly type: 'Credits'; readonly credits: readonly ChannelCredit[] };

/** The buffers to transfer with a message. */
export function pageBuffers(frames: readonly ChannelFrame[]): readonly ArrayBuffer[] {
  return frames.flatMap((frame) => (frame.type === 'Page' ? [frame.records.buffer] : []));
}
