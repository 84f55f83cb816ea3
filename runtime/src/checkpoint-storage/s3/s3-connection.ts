import { setTimeout as delay } from 'node:timers/promises';
import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import { limits } from './limits.ts';
import type { S3Settings } from './s3-settings.ts';
import { describeFailure, type RequestContext, toStorageError } from './storage-errors.ts';
import { TransferBudget, type TransferShare } from './transfer-budget.ts';

/** The SDK, loaded, and a client of it. */
export interface S3Api {
  readonly sdk: typeof import('@aws-sdk/client-s3');
  readonly client: S3Client;
}

export interface S3ConnectionOptions {
  readonly settings: S3Settings;
  readonly share: TransferShare;
  /** Instead of what the SDK finds; for tests. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly deadlines?: Partial<Deadlines>;
}

/** What a test makes shorter. */
export interface Deadlines {
  readonly requestTimeoutMs: number;
  readonly silenceTimeoutMs: number;
  readonly callDeadlineMs: number;
  readonly retryDelayFirstMs: number;
}

/** How one request may go. */
export interface RequestOptions {
  /** Beside the time for the head of the answer. */
  readonly extraTimeoutMs?: number;
  /** Whether a try whose answer is not known may have changed something. */
  readonly isWrite: boolean;
}

/**
 * One thread's way to one server: the SDK, loaded when it is first needed (130 ms and about 30 MiB that a job on a local disk never pays), its
 * connections, and the tries of each request. The SDK itself tries only once: whether an unanswered put may have been done is ours to know.
 */
export class S3Connection {
  readonly settings: S3Settings;
  readonly budget: TransferBudget;
  readonly deadlines: Deadlines;
  readonly #options: S3ConnectionOptions;
  #loading: Promise<S3Api> | undefined;

  constructor(options: S3ConnectionOptions) {
    this.#options = options;
    this.settings = options.settings;
    this.budget = new TransferBudget(options.share);
    this.deadlines = { ...limits, ...options.deadlines };
  }

  /** For people. */
  get endpoint(): string {
    return this.settings.endpoint ?? 'Amazon S3';
  }

  /** A failed load is tried again by the next request. */
  api(): Promise<S3Api> {
    this.#loading ??= this.#load().catch((error: unknown) => {
      this.#loading = undefined;
      throw error;
    });
    return this.#loading;
  }

  async #load(): Promise<S3Api> {
    const sdk = await import('@aws-sdk/client-s3');
    const { settings, credentials } = this.#options;
    const config: S3ClientConfig = {
      forcePathStyle: settings.isPathStyle,
      maxAttempts: 1,
      // What is downloaded is verified here, over all the ranges of an object.
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: this.#requestHandler(),
      ...(settings.endpoint === undefined ? {} : { endpoint: settings.endpoint }),
      ...(credentials === undefined ? {} : { credentials }),
    };
    const client = new sdk.S3Client(config);
    if (settings.endpoint === undefined) {
      return { sdk, client: signingLess(client) };
    }
    // A server of one's own has a region only because signatures have one, and most take this.
    const region = await client.config.region().catch(() => 'us-east-1');
    return { sdk, client: signingLess(new sdk.S3Client({ ...config, region })) };
  }

  #requestHandler(): NonNullable<S3ClientConfig['requestHandler']> {
    const agent = {
      keepAlive: true,
      maxSockets: this.#options.share.connectionCountMax + limits.connectionCountReserved,
    };
    return { httpAgent: agent, httpsAgent: agent, connectionTimeout: limits.connectTimeoutMs };
  }

  /**
   * Sends until it is answered, within the bounds of a call. `send` gets a signal that ends one try. What it returns is the result; a refusal that
   * is an answer (412, 404) it turns into one. Throws a `StorageError` whose outcome takes all tries into account.
   */
  async request<T>(
    context: Omit<RequestContext, 'endpoint'>,
    { isWrite, extraTimeoutMs = 0 }: RequestOptions,
    send: (api: S3Api, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const about = { ...context, endpoint: this.endpoint };
    const endsAtMs = performance.now() + this.deadlines.callDeadlineMs + extraTimeoutMs;
    let mayBeApplied = false;
    for (let tries = 1; ; tries += 1) {
      const timeout = new AbortController();
      const timer = setTimeout(() => timeout.abort(), this.deadlines.requestTimeoutMs + extraTimeoutMs);
      try {
        return await send(await this.api(), timeout.signal);
      } catch (error) {
        const { applied, retryable } = describeFailure(error);
        mayBeApplied ||= isWrite && applied === 'Unknown';
        const delayMs = this.retryDelayMs(tries);
        if (!retryable || tries >= limits.tryCountMax || performance.now() + delayMs > endsAtMs) {
          throw toStorageError(error, about, mayBeApplied ? 'Unknown' : 'NotApplied');
        }
        await delay(delayMs);
      } finally {
        clearTimeout(timer);
      }
    }
  }

  /** Twice as long each time, and by chance between nothing and that: those who failed together must not come back together. */
  retryDelayMs(tries: number): number {
    return Math.random() * Math.min(this.deadlines.retryDelayFirstMs * 2 ** tries, limits.retryDelayMaxMs);
  }
}

/**
 * Content that goes through TLS is not hashed once more for the signature: SHA-256 of every byte, in the thread that runs the job, was more work than
 * all else of an upload. What is signed is its CRC-32, which the server checks. Without TLS the content is signed.
 */
function signingLess(client: S3Client): S3Client {
  client.middlewareStack.add(
    (next) => (args) => {
      const request = args.request as { readonly protocol?: string; readonly headers: Record<string, string> };
      if (request.protocol === 'https:' && request.headers['x-amz-checksum-crc32'] !== undefined) {
        request.headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
      }
      return next(args);
    },
    { step: 'build', name: 'unsignedPayload' },
  );
  return client;
}

/** For a body of so many bytes. */
export function transferTimeMs(sizeBytes: number): number {
  return Math.ceil((sizeBytes / limits.bytesPerSecondMin) * 1_000);
}
