/**
 * A request to the Kubernetes API that was refused or not answered. `status` is the HTTP status, 0 without an answer; `reason` is the
 * `Status` object's (`NotFound`, `Conflict`, `AlreadyExists`, `Forbidden`, `Invalid`, `Expired`, `TooManyRequests`, ...), or `NoAnswer`, `Timeout`.
 */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly reason: string;
  /** What the server asked for with `Retry-After`. */
  readonly retryAfterMs: number | undefined;
  /** What the server itself said, where it refused. */
  readonly said: string | undefined;

  constructor(
    message: string,
    options: {
      readonly status: number;
      readonly reason: string;
      readonly retryAfterMs?: number | undefined;
      readonly said?: string | undefined;
      readonly cause?: unknown;
    },
  ) {
    super(message, { cause: options.cause });
    this.status = options.status;
    this.reason = options.reason;
    this.retryAfterMs = options.retryAfterMs;
    this.said = options.said;
  }
}
