import type { CheckpointMode } from '../../core/checkpoint/checkpoint-mode.ts';
import type { SnapshotFormat } from '../../core/checkpoint/manifest.ts';
import type { FencingToken } from '../../core/fencing-token.ts';
import type { Watermark } from '../../core/time/event-time.ts';

/**
 * How records travel between TaskManagers. The producer opens one stream per consuming TaskManager and fencing token; all channels
 * between the two share it. The stream keeps order and loses nothing while it is open; flow control is by credit per channel and is
 * the business of both ends, so the transport always reads.
 */
export interface DataTransport {
  listen(options: {
    readonly host: string;
    readonly port: number;
    /** A producer said hello; it sends nothing more until `accept`. */
    readonly onStream: (stream: IncomingStream) => void;
  }): Promise<DataListener>;

  /** Resolves once the consumer accepted, which it does when it runs the same token. Rejects when refused, broken or aborted. */
  open(options: {
    readonly address: string;
    readonly hello: ProducerHello;
    readonly signal: AbortSignal;
    readonly onCredits: (credits: readonly ChannelCredit[]) => void;
    /** Once, after the stream was open, unless `close` was called. */
    readonly onLost: (reason: string) => void;
  }): Promise<OutgoingStream>;
}

export interface DataListener {
  readonly address: string;
  close(): Promise<void>;
}

interface ProducerHello {
  readonly token: FencingToken;
  readonly taskManagerId: string;
}

export interface IncomingStream {
  readonly hello: ProducerHello;
  accept(handlers: {
    readonly onFrames: (frames: readonly ChannelFrame[]) => void;
    /** Once, unless `close` was called. */
    readonly onLost: (reason: string) => void;
  }): void;
  sendCredits(credits: readonly ChannelCredit[]): void;
  /** Also refuses a stream that was not accepted. */
  close(reason: string): void;
}

export interface OutgoingStream {
  send(frames: readonly ChannelFrame[]): void;
  close(reason: string): void;
}

/** What travels on a channel, in order. `channel` is the channel's number in the job's channel plan. */
export type ChannelFrame =
  | {
      readonly type: 'Page';
      readonly channel: number;
      readonly recordCount: number;
      /** A page as core/pages writes it; owns its buffer, so that it can be transferred to another thread. */
      readonly records: Uint8Array<ArrayBuffer>;
    }
  /** Each one replaces the one before it, so only the last of several in a row needs to travel. */
  | ({ readonly type: 'Watermark'; readonly channel: number } & Watermark)
  | { readonly type: 'Barrier'; readonly channel: number; readonly barrier: CheckpointBarrier }
  /** No records follow; barriers still do. */
  | { readonly type: 'End'; readonly channel: number };

/** Divides the records before it from those after it. It carries what a subtask needs to take its part of the checkpoint. */
export interface CheckpointBarrier {
  readonly checkpointId: number;
  readonly directory: string;
  /** Nothing follows this barrier. */
  readonly stopSources: boolean;
  readonly format: SnapshotFormat;
  readonly mode: CheckpointMode;
}

export interface ChannelCredit {
  readonly channel: number;
  readonly pages: number;
}
