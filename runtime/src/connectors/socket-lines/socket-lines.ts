import { connect, type Socket } from 'node:net';
import { JobError } from '../../core/job-error.ts';
import type { Source, SourceReader, SourceReaderContext, Split, SplitRecords } from '../../core/job-graph/source.ts';
import { t } from '../../core/types/t.ts';
import { refuseUnknownOptions, requireNumber, requireText } from '../invalid-option.ts';
import { LineSplitter } from '../line-splitter.ts';

export interface SocketLinesOptions {
  readonly host: string | undefined;
  readonly port: number;
  /** How long a server that does not listen yet is tried again before the job fails. Default 60. */
  readonly connectWithinSeconds?: number;
}

/** Whether the server has ended the input: then there is nothing to connect to after a restart. */
export interface SocketPosition {
  readonly ended: boolean;
}

/**
 * Lines of text from a TCP server. A socket cannot be read twice: a failure loses what was read since the last checkpoint, and the
 * job says so. The server's closing is the end of the input; a connection that breaks is a failure.
 */
export function socketLines(options: SocketLinesOptions): Source<string, SocketPosition> {
  refuseUnknownOptions('socketLines', options, ['host', 'port', 'connectWithinSeconds']);
  const host = requireText('socketLines', 'host', options.host);
  const port = requireNumber('socketLines', 'port', options.port, { min: 1, max: 65535, integer: true });
  const connectWithinSeconds = requireNumber('socketLines', 'connectWithinSeconds', options.connectWithinSeconds ?? 60, {
    min: 0,
    max: 86_400,
    integer: false,
  });
  return {
    name: 'socketLines',
    recordType: t.string,
    positionType: t.struct({ ended: t.boolean }),
    bounded: false,
    replayable: false,
    parallelismMax: 1,
    discoverSplits: async () => [{ id: `${host}:${port}`, position: { ended: false } }],
    createReader: (context, splits) =>
      new SocketLinesReader({ context, split: splits[0], host, port, connectWithinMs: connectWithinSeconds * 1000 }),
  };
}

const firstRetryMs = 100;
const retryMsMax = 2_000;
/** Lines read ahead of the job; above it the socket is not read, and the server feels it. */
const bufferedLineCountMax = 10_000;

interface ReaderOptions {
  readonly context: SourceReaderContext;
  readonly split: Split<SocketPosition> | undefined;
  readonly host: string;
  readonly port: number;
  readonly connectWithinMs: number;
}

class SocketLinesReader implements SourceReader<string, SocketPosition> {
  readonly #options: ReaderOptions;
  readonly #splitter: LineSplitter;
  readonly #lines: string[] = [];
  #socket: Socket | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #state: 'Reading' | 'ServerEnded' | 'Ended' | 'Closed';

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#splitter = new LineSplitter(`${options.host}:${options.port}`);
    this.#state = options.split === undefined || options.split.position.ended ? 'Ended' : 'Reading';
    if (this.#state === 'Reading') {
      this.#connect(options.context.nowMs() + options.connectWithinMs, firstRetryMs);
    }
  }

  poll(countMax: number): SplitRecords<string> | 'Pending' | 'End' {
    const { split } = this.#options;
    if (this.#lines.length > 0 && split !== undefined) {
      const records = this.#lines.splice(0, countMax);
      if (this.#lines.length < bufferedLineCountMax) {
        this.#socket?.resume();
      }
      return { splitId: split.id, records };
    }
    if (this.#state === 'ServerEnded') {
      this.#state = 'Ended';
    }
    return this.#state === 'Ended' ? 'End' : 'Pending';
  }

  positions(): readonly Split<SocketPosition>[] {
    const { split } = this.#options;
    return split === undefined ? [] : [{ id: split.id, position: { ended: this.#state === 'Ended' } }];
  }

  /** What was received and not polled; what waits at the server is not known. */
  pendingRecords(): number {
    return this.#lines.length;
  }

  async close(): Promise<void> {
    this.#state = 'Closed';
    clearTimeout(this.#retryTimer);
    const socket = this.#socket;
    if (socket !== undefined && !socket.closed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      socket.once('close', () => resolve());
      socket.destroy();
      await promise;
    }
  }

  #connect(deadlineMs: number, delayMs: number): void {
    const { context, host, port } = this.#options;
    const socket = connect({ host, port });
    this.#socket = socket;
    let connected = false;
    socket.on('connect', () => {
      connected = true;
    });
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => {
      this.#splitter.end((line) => this.#lines.push(line));
      this.#state = 'ServerEnded';
      context.wake();
    });
    socket.on('error', (error) => {
      if (this.#state !== 'Reading') {
        return;
      }
      if (connected) {
        context.fail(this.#error(`the connection broke: ${error.message}`, 'SocketBroken', error));
      } else if (context.nowMs() + delayMs >= deadlineMs) {
        context.fail(this.#error(`no connection: ${describeConnectError(error)}`, 'SocketUnreachable', error));
      } else {
        this.#retryTimer = setTimeout(() => this.#connect(deadlineMs, Math.min(delayMs * 2, retryMsMax)), delayMs);
      }
    });
  }

  #receive(chunk: Buffer): void {
    try {
      this.#splitter.push(chunk, (line) => this.#lines.push(line));
    } catch (error) {
      this.#options.context.fail(error);
      this.#socket?.destroy();
      return;
    }
    if (this.#lines.length >= bufferedLineCountMax) {
      this.#socket?.pause();
    }
    this.#options.context.wake();
  }

  #error(what: string, code: string, cause: unknown): JobError {
    const { host, port } = this.#options;
    return new JobError(`socketLines ${host}:${port}: ${what}`, {
      domain: 'external',
      retry: 'backoff',
      code,
      remedy: `Start a server there, for example: nc -lk ${port}`,
      cause,
    });
  }
}

/** Several addresses of one name fail together as one error without a message of its own. */
function describeConnectError(error: Error): string {
  return error instanceof AggregateError ? error.errors.map((each: Error) => each.message).join('; ') : error.message;
}
