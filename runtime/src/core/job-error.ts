/** Who has to act: the job's author or user, the world around the process, or we (a bug). */
export type ErrorDomain = 'user' | 'external' | 'internal';

/** `never`: trying again gives the same failure. `backoff`: it may heal by itself. */
export type ErrorRetry = 'never' | 'backoff';

export interface JobErrorOptions {
  readonly domain: ErrorDomain;
  readonly retry: ErrorRetry;
  /** CamelCase and stable: it is shown in status conditions and matched by tools. */
  readonly code: string;
  /** What the reader can do about it, as a sentence. */
  readonly remedy?: string | undefined;
  readonly cause?: unknown;
}

/** A failure of the world or of a user's input; bugs are `assert` failures instead. */
export class JobError extends Error {
  override readonly name = 'JobError';
  readonly domain: ErrorDomain;
  readonly retry: ErrorRetry;
  readonly code: string;
  readonly remedy: string | undefined;

  constructor(message: string, options: JobErrorOptions) {
    super(message, { cause: options.cause });
    this.domain = options.domain;
    this.retry = options.retry;
    this.code = options.code;
    this.remedy = options.remedy;
  }
}

/** A `JobError` (or any thrown value) as plain data, for messages between processes and for status documents. */
export interface ErrorInfo {
  readonly code: string;
  readonly message: string;
  readonly domain: ErrorDomain;
  readonly retry: ErrorRetry;
  readonly remedy?: string | undefined;
  /** Stack of the original error, where there was one. */
  readonly stack?: string | undefined;
}

/** Anything thrown, as data. An unknown error counts as `internal` unless the caller says whose code threw it. */
export function toErrorInfo(error: unknown, domain: ErrorDomain = 'internal'): ErrorInfo {
  if (error instanceof JobError) {
    const { code, message, retry, remedy, stack } = error;
    return { code, message, domain: error.domain, retry, remedy, stack };
  }
  const known = error instanceof Error ? error : new Error(String(error));
  return {
    code: domain === 'user' ? 'UserCodeFailed' : 'Unexpected',
    message: known.message,
    domain,
    retry: 'backoff',
    stack: known.stack,
  };
}
